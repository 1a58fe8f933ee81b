"""mpota serve: mosquitto, the file servers, and the service between them."""
# SPDX-License-Identifier: MIT

import concurrent.futures
import contextlib
import functools
import os
import resource
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt

from mpota import messages, pki, ports, running, storage
from mpota.broker import Broker
from mpota.chaos import Chaos
from mpota.coapserver import CoapServer
from mpota.errors import ToolError, os_error
from mpota.files import FileServer
from mpota.inbox import Inbox
from mpota.logins import Registrar
from mpota.running import Address
from mpota.service import BATCH, Event, Service
from mpota.store import Store

OPEN_FILES = 65536  # a socket for each peer over UDP, and for each connection
POLL_S = 0.1
FAULT_S = 600
CONNECT_S = 10
REFUSED_S = 60  # how often refused logins are told at most


def _allow_open_files():
    """The usual limit of 1024 is one device a socket away from a server that can open nothing any more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft == resource.RLIM_INFINITY or soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@dataclass(frozen=True)
class Ports:
    """Where to listen; 0 takes a free port."""

    mqtt: int = 0
    mqtts: int = 0
    http: int = 0
    https: int = 0
    coap: int = 0
    coaps: int = 0


class Server:
    """Everything `mpota serve` runs. `on_event` is called with every Event."""

    def __init__(self, folder, bind, host, on_event, chaos_seed=None):
        for name in (bind, host):
            ports.check_host(name)
        self.folder = Path(folder)
        self._bind, self._host, self._on_event = bind, host, on_event
        self._inbox = Inbox()
        self._unread = []  # messages that wait for room on the disk
        self._subscribed = threading.Event()
        self._chaos = None
        if chaos_seed is not None:
            self._chaos = Chaos(chaos_seed, lambda where, what: on_event(Event("chaos", f"{where}: {what}")))
        self._stopping = False
        self._devices, self._seen = [], None
        self._refused = self._refused_end = 0  # how many have been told, and until when no more
        self._fault = self._fault_end = None  # the one there is, and until when

    def run(self, wanted, on_ready):
        """Serves until stop(); calls on_ready(Address) when devices can connect."""
        _allow_open_files()
        with contextlib.ExitStack() as stack:
            self._store = Store(self.folder, create=True)
            stack.callback(self._store.close)
            stack.enter_context(running.only_server(self.folder))
            running.forget(self.folder)
            address = self._start(wanted, stack)
            url_of = functools.partial(running.artifact_url, address)
            self._service = Service(self._store, url_of, self._chaos is not None)
            client = self._connect(stack)
            # Only now, as what a device says before the service has subscribed is acknowledged and heard by nobody.
            self._let_in(self._store.devices())
            self._refused = self._broker.refused  # those come again
            stack.callback(running.forget, self.folder)
            running.announce(self.folder, address)
            on_ready(address)
            while not self._stopping:
                self._turn(client)

    def stop(self):
        """Makes run() return; may be called from a signal handler."""
        self._stopping = True

    def _start(self, wanted, stack):
        certificates = pki.prepare(self.folder, self._host)
        served = running.served_folder(self.folder)
        storage.make_folder(served)
        http = FileServer(served, self._bind, wanted.http, chaos=self._chaos)
        stack.callback(http.stop)
        https = FileServer(served, self._bind, wanted.https, certificates, Registrar(self.folder).register, self._chaos)
        stack.callback(https.stop)
        self._broker = Broker(self.folder / "broker", self._bind, certificates)
        stack.callback(self._broker.stop)
        self._broker.start(wanted.mqtt, wanted.mqtts)
        self._coap = CoapServer(self.folder, self._bind, self._ask, certificates, (wanted.coap, wanted.coaps), self._chaos)
        stack.callback(self._coap.stop)
        http.start()
        https.start()
        self._coap.start()
        ca = str(certificates.ca.absolute())
        return Address(
            self._host, self._broker.port, self._broker.tls_port, http.port, https.port, self._coap.port, self._coap.tls_port,
            ca, os.getpid(),
        )  # fmt: skip

    def _ask(self, topic, payload):
        """A device's message over CoAP; the Future gives what it is answered, None to one that has said too much."""
        answer = concurrent.futures.Future()
        if not self._inbox.put(topic, payload, answer):
            answer.set_result(None)
        return answer

    def _connect(self, stack):
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=self._broker.service.user)
        client.username_pw_set(self._broker.service.user, self._broker.service.password)
        topics = [(messages.topic(kind, "+", "+"), 1) for kind in messages.KINDS]
        client.on_connect = lambda c, *_: c.subscribe(topics)
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.on_message = lambda _c, _u, message: self._inbox.put(message.topic, message.payload)
        try:
            client.connect(self._broker.host, self._broker.port)
        except OSError as error:
            raise os_error("mosquitto", error) from error
        client.loop_start()
        stack.callback(client.loop_stop)
        stack.callback(client.disconnect)
        deadline = time.monotonic() + CONNECT_S
        while not self._subscribed.wait(POLL_S):
            self._broker.check()
            if time.monotonic() > deadline:
                raise ToolError("mosquitto", "does not let the service in")
        return client

    def _let_in(self, devices):
        self._broker.set_devices(devices)
        self._devices = devices

    def _turn(self, client):
        """The messages of the next tenth of a second, then what is due. What a full disk refuses is told once and tried again;
        a fault that stays is the end."""
        self._broker.check()
        try:
            self._hear(client, time.monotonic() + POLL_S)
            self._look_at_store()
            self._send(client, self._service.poll(time.time()))
            self._tell_refused()
            self._fault = None
        except ToolError as error:
            if self._fault is None:
                self._fault_end = time.monotonic() + FAULT_S
            if time.monotonic() > self._fault_end:
                raise
            if str(error) != self._fault:
                self._fault = str(error)
                self._on_event(Event("server", self._fault))
            time.sleep(POLL_S)

    def _hear(self, client, until):
        while (left := until - time.monotonic()) > 0:
            self._unread = self._unread or self._inbox.take(BATCH, left)
            if not self._unread:
                return
            results = self._service.receive_all([said[:2] for said in self._unread], time.time())
            said, self._unread = self._unread, []
            for (topic, _, answer), (outgoing, events) in zip(said, results, strict=True):
                if answer and answer.set_running_or_notify_cancel():  # who asked may have asked again meanwhile
                    own = [message.payload for message in outgoing if message.topic == topic and not messages.is_nothing(message.payload)]
                    outgoing = [message for message in outgoing if message.topic != topic]
                    answer.set_result(next(iter(self._notices(own[0])), b"") if own else b"")
                self._send(client, (outgoing, events))

    def _look_at_store(self):
        changed = self._store.changed_by_others()
        if changed == self._seen:
            return
        devices = self._store.devices()
        logins = [(device.pk, device.dn, device.secret) for device in devices]
        if logins != [(device.pk, device.dn, device.secret) for device in self._devices]:
            self._let_in(devices)
            self._on_event(Event("mosquitto", f"knows {len(devices)} device{'s'[: len(devices) != 1]}"))
        self._seen = changed

    def _tell_refused(self):
        if time.monotonic() > self._refused_end and (count := self._broker.refused - self._refused):
            self._refused += count
            self._refused_end = time.monotonic() + REFUSED_S
            self._on_event(Event("mosquitto", f"refused {count} login{'s'[: count > 1]}: unknown device or wrong secret"))

    def _send(self, client, result):
        outgoing, events = result
        for event in events:
            self._on_event(event)
        for message in outgoing:
            # QoS 0: what a sleeping device's session kept would be out of date, and its inform brings the message again.
            for payload in self._notices(message.payload):
                client.publish(message.topic, payload)
                self._coap.push(message.topic, payload)

    def _notices(self, payload):
        """What is sent of an upgrade message: itself, or what chaos makes of it."""
        return self._chaos.notices(payload) if self._chaos else [payload]
