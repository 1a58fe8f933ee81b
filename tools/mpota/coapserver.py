"""The CoAP and CoAPS server: Linkkit's login and resources, Observe on the upgrade resource, artifacts block by block.

aiocoap is the server; it listens on a loopback port behind udpfront.py's ports.
"""
# SPDX-License-Identifier: MIT

import asyncio
import contextlib
import itertools
import json
import logging
import os
import threading
import time

import aiocoap
from aiocoap.numbers import codes
from aiocoap.numbers.constants import TransportTuning
from aiocoap.numbers.optionnumbers import OptionNumber

from mpota import files, messages, ports, rules, running
from mpota.errors import ToolError
from mpota.logins import Tokens
from mpota.store import Store
from mpota.udpfront import Dtls, Front, Listener, Plain

START_S = 10
TransportTuning.MAX_LATENCY = 5  # s, of the network: aiocoap keeps what it answered for 57 s, not for 247
BLOCK_SZX = 6  # 1024 bytes
TOKEN_OPTIONS = (2088, 61)  # as Linkkit documents it, and as its SDK writes it
JSON, OCTETS = 50, 42
UNSAID = 26  # the No-Response option for all there is (RFC 7967): aiocoap forgets the request and sends nothing


def block(file, size, option):
    """(bytes, (number, more, szx)) of the block that a Block2 option asks for; None beyond the end."""
    szx = min(option.size_exponent, BLOCK_SZX) if option else BLOCK_SZX
    start = option.block_number << (option.size_exponent + 4) if option else 0
    if start >= size and start:
        return None
    file.seek(start)
    return file.read(16 << szx), (start >> (szx + 4), start + (16 << szx) < size, szx)


class Site:
    """What lies where. `tokens` are the logins; `ask(topic, payload)` gives, in time, the service's answer, to payload None what a device
    that asks for that topic is to be told, and None if it does not want to hear; `artifact_of(pk, dn)`
    the file that a device is to fetch; `fault` is what becomes of a block; `admit(endpoint)` hears of logins."""

    def __init__(self, folder, tokens, ask, artifact_of, fault, admit):
        self._folder, self._tokens, self._ask, self._artifact_of = running.served_folder(folder), tokens, ask, artifact_of
        self._fault, self._admit = fault, admit
        self._numbers = itertools.count(1)  # of notifications: over all, so that they grow for everybody
        self.watchers = {}

    async def render_to_pipe(self, pipe):
        """aiocoap's: answers a request."""
        request = pipe.request
        self._forget_option(request)
        path = request.opt.uri_path
        try:
            if path[:3] == ("topic", "ota", "device") and len(path) == 6:
                await self._device(pipe, request, *path[3:])
            elif path == ("auth",) and request.code == codes.POST:
                pipe.add_response(self._auth(request), is_last=True)
            elif len(path) == 1 and request.code == codes.GET and files.NAME.fullmatch(path[0]):
                pipe.add_response(self._artifact(request, path[0]), is_last=True)
            else:
                pipe.add_response(aiocoap.Message(code=codes.NOT_FOUND), is_last=True)
        except messages.BadMessage:
            pipe.add_response(aiocoap.Message(code=codes.BAD_REQUEST), is_last=True)

    def push(self, topic, payload):
        """Tells a device's observer. One that does not observe (yet) is told when it asks."""
        _, _, _, kind, pk, dn = topic.split("/")
        watcher = self.watchers.get((pk, dn))
        if kind == "upgrade" and watcher:
            watcher.put_nowait(payload)

    def _forget_option(self, request):
        """Finds the token and takes it away."""
        request.linkkit_token = None
        for number in TOKEN_OPTIONS:
            for option in request.opt.get_option(OptionNumber(number)):
                request.linkkit_token = bytes(option.value).decode(errors="replace")

    def _auth(self, request):
        token = self._tokens.login(request.payload, _endpoint(request))
        if token is None:
            return aiocoap.Message(code=codes.UNAUTHORIZED)
        self._admit(_endpoint(request))
        return aiocoap.Message(code=codes.CONTENT, payload=json.dumps({"token": token}).encode(), content_format=JSON)

    async def _device(self, pipe, request, kind, pk, dn):
        if self._tokens.device(request.linkkit_token, _endpoint(request)) != (pk, dn):
            pipe.add_response(aiocoap.Message(code=codes.UNAUTHORIZED), is_last=True)
        elif kind == "upgrade" and request.code == codes.GET:
            await self._upgrade(pipe, request, (pk, dn))
        elif kind == "download" and request.code == codes.POST:
            name = self._artifact_of(pk, dn)
            pipe.add_response(self._artifact(request, name) if name else aiocoap.Message(code=codes.NOT_FOUND), is_last=True)
        elif kind in messages.KINDS and request.code == codes.POST:
            topic = messages.topic(kind, pk, dn)
            messages.read(topic, request.payload)
            answer = await self._ask(topic, request.payload)
            code = codes.CONTENT if kind == "request" else codes.CHANGED
            if answer is None:
                answer, code = b"", codes.SERVICE_UNAVAILABLE
            pipe.add_response(aiocoap.Message(code=code, payload=answer, content_format=JSON if answer else None), is_last=True)
        else:
            pipe.add_response(aiocoap.Message(code=codes.METHOD_NOT_ALLOWED), is_last=True)

    async def _upgrade(self, pipe, request, device):
        """What the device has to be told now, and whatever comes as long as it observes, or until it does so anew."""
        observes = request.opt.observe == 0
        if not observes:
            pipe.add_response(self._notice(await self._take(device)), is_last=True)
            return
        if device in self.watchers:
            self.watchers[device].put_nowait(None)
        queue = self.watchers[device] = asyncio.Queue()
        try:
            payload = await self._take(device)
            while payload is not None:
                notice = self._notice(payload)
                notice.opt.observe = next(self._numbers) & 0xFFFFFF
                pipe.add_response(notice, is_last=False)
                payload = await queue.get()
            pipe.add_response(aiocoap.Message(code=codes.CONTENT, no_response=UNSAID), is_last=True)
        finally:
            if self.watchers.get(device) is queue:
                del self.watchers[device]

    async def _take(self, device):
        return await self._ask(messages.topic("upgrade", *device), None) or b""

    def _notice(self, payload):
        return aiocoap.Message(code=codes.CONTENT, payload=payload, content_format=JSON)

    def _artifact(self, request, name):
        """One block of a served file."""
        try:
            with open(self._folder / name, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                found = block(file, size, request.opt.block2)
        except OSError:
            return aiocoap.Message(code=codes.NOT_FOUND)
        if found is None:
            return aiocoap.Message(code=codes.BAD_OPTION)
        response = aiocoap.Message(code=codes.CONTENT, payload=found[0], content_format=OCTETS, etag=bytes.fromhex(name[:16]))
        response.opt.block2 = found[1]
        response.opt.size2 = size
        return self._fault(response)


class Answered(dict):
    """What aiocoap answered to whom, kept for who asks again; but no blocks of artifacts: those are read again, and a fleet's fill the memory."""

    def __setitem__(self, key, answer):
        if answer is None or answer.opt.block2 is None:
            super().__setitem__(key, answer)
        else:
            self.pop(key)

    def pop(self, key):
        """aiocoap's, when it is time."""
        return super().pop(key, None)


def _endpoint(request):
    return request.remote.address


class CoapServer:
    """Runs the site and its two ports in a thread. `ask(topic, payload)` is called there; it gives a concurrent Future.
    chaos: makes faults, or None."""

    def __init__(self, folder, bind, ask, certificates, wanted=(0, 0), chaos=None):
        self._folder, self._ask, self._certificates, self._chaos = folder, ask, certificates, chaos
        self._sockets = [ports.listen_udp(bind, port) for port in wanted]
        self.port, self.tls_port = (sock.getsockname()[1] for sock in self._sockets)
        self._loop = asyncio.new_event_loop()
        self._ready, self._fault = threading.Event(), None
        self.answered = Answered()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        """Returns when requests are answered."""
        self._thread.start()
        if not self._ready.wait(START_S) or self._fault:
            raise ToolError(f"port {self.port}", f"CoAP server does not start ({self._fault or 'no answer'})")

    def push(self, topic, payload):
        """Tells a device that observes. From any thread."""
        self._loop.call_soon_threadsafe(self._site.push, topic, payload)

    @property
    def observers(self):
        """How many devices would hear a push now."""
        return len(self._site.watchers)

    def stop(self):
        """Ends the thread and closes the ports."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(5)
        for sock in self._sockets:
            sock.close()

    def _run(self):
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:  # told by start()
            self._fault = error
            self._ready.set()

    async def _serve(self):
        self._end = asyncio.Event()
        store = Store(self._folder)  # of this thread
        tokens = Tokens(lambda pk, dn: _secret(store, pk, dn))
        fault = self._chaos.block if self._chaos else lambda response: response
        fronts = []

        def admit(endpoint):
            for front in fronts:
                front.admit(endpoint)

        self._site = Site(self._folder, tokens, self._wait, lambda pk, dn: target(store, pk, dn), fault, admit)
        inner = ports.probe_udp("127.0.0.1")
        context = await aiocoap.Context.create_server_context(
            self._site, bind=("127.0.0.1", inner), transports=["simplesocketserver"]
        )
        context.request_interfaces[0].token_interface._recent_messages = self.answered
        context.log.setLevel(logging.ERROR)  # what a peer does wrong is not worth a line
        listener = Listener(self._certificates)
        makers = (
            lambda addr, to_server, to_peer: Plain(addr, _only_coap(to_server), to_peer),
            lambda addr, to_server, to_peer: Dtls(listener, addr, _only_coap(to_server), to_peer),
        )
        fronts += [
            await Front.open(sock, ("127.0.0.1", inner), make, self._chaos and self._chaos.noise)
            for sock, make in zip(self._sockets, makers, strict=True)
        ]
        self._ready.set()
        await self._end.wait()
        for front in fronts:
            front.close()
        store.close()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(context.shutdown(), 2)

    async def _wait(self, topic, payload):
        return await asyncio.wrap_future(self._ask(topic, payload))


def _only_coap(on):
    """aiocoap meets what it cannot read with exceptions of all kinds, each of which ends as a traceback in the server's log."""

    def passed(datagram):
        try:
            kind = aiocoap.Message.decode(datagram).code.class_
        except Exception:
            return
        if kind in (0, 2, 4, 5):
            on(datagram)

    return passed


def _secret(store, pk, dn):
    try:
        return store.device(pk, dn).secret
    except ToolError:
        return None


def target(store, pk, dn):
    """The file that a device was told to fetch, or None."""
    update = store.latest(pk, dn)
    if not update or update.state not in rules.OPEN:
        return None
    patch = store.patch(update.artifact, store.device(pk, dn).version) if update.sent_patch else None
    return (patch or store.artifact(update.artifact)).file
