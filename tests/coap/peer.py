"""A CoAP server that does what a test says, datagram by datagram; aiocoap's codec reads and writes them."""
# SPDX-License-Identifier: MIT

import json
import queue
import subprocess
import threading
import time
from pathlib import Path

import aiocoap
from aiocoap import Message
from aiocoap.numbers import types
from mpota import ports

from otacore import BUILD, REPO

DEVICE = Path(__file__).with_name("device.py")
MICROPYTHON = BUILD / "linuxhost" / "micropython" / "firmware"
CON, NON, ACK, RST = types.CON, types.NON, types.ACK, types.RST
IDENTITY = ["a1B2c3D4e5F", "dev01", "0123456789abcdef0123456789abcdef"]
TOKEN_OPTIONS = (2088, 61)


def raw(code, request, mtype=ACK, mid=None, token=None, payload=b"", **options):
    """A response's bytes. Unless told otherwise it acknowledges the request and carries its token."""
    message = Message(code=code, payload=payload, **options)
    message.mtype, message.mid = mtype, request.mid if mid is None else mid
    message.token = request.token if token is None else token
    message.direction = aiocoap.message.Direction.OUTGOING
    return message.encode()


def empty(mtype, mid):
    message = Message(code=aiocoap.EMPTY)
    message.mtype, message.mid, message.token = mtype, mid, b""
    return message.encode()


def token_of(request):
    """The login's token and the number of the option it came in."""
    for number in TOKEN_OPTIONS:
        for option in request.opt.get_option(aiocoap.numbers.OptionNumber(number)):
            return bytes(option.value).decode(), number
    return None, None


class Peer:
    """answer(request) gives the datagrams to send, in order; None is none. `requests` has all that came."""

    def __init__(self, answer):
        self._answer = answer
        self.requests = []
        self.socket = ports.listen_udp("127.0.0.1")
        self.socket.settimeout(0.05)
        self.port = self.socket.getsockname()[1]
        self.board = None
        self._open = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            try:
                data, self.board = self.socket.recvfrom(2048)
            except TimeoutError:
                if self._open:
                    continue
                return  # all that was sent before the end has been heard
            request = Message.decode(data, remote=None)
            self.requests.append(request)
            for datagram in self._answer(request) or ():
                self.send(datagram)

    def send(self, datagram):
        self.socket.sendto(datagram, self.board)

    def of(self, kind):
        """What came so far of a message type."""
        return [message for message in self.requests if message.mtype == kind]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._open = False
        self._thread.join(10)
        self.socket.close()


def start(**options):
    """device.py on MicroPython, told what to do."""
    process = subprocess.Popen(
        [MICROPYTHON, "-X", "heapsize=64M", DEVICE], env={"MICROPYPATH": str(REPO)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    process.stdin.write(json.dumps(options) + "\n")
    process.stdin.flush()
    return process


def fetch(timeout=60, **options):
    """What the board says of a fetch."""
    output, _ = start(do="fetch", **options).communicate(timeout=timeout)
    return json.loads(output.splitlines()[-1])


class Channel:
    """A board that keeps its channel open. `log` are the lines it printed that are not JSON."""

    def __init__(self, port, **options):
        options = {"identity": IDENTITY, "server": ["127.0.0.1", port]} | options
        self._process = start(do="channel", **options)
        self.facts, self.log = queue.Queue(), []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            if line.startswith("{"):
                self.facts.put(json.loads(line))
            else:
                self.log.append(line.strip())

    def type(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def expect(self, name, seconds=30):
        """The next fact with this name."""
        end = time.monotonic() + seconds
        while True:
            try:
                fact = self.facts.get(timeout=max(end - time.monotonic(), 0.001))
            except queue.Empty:
                raise AssertionError(f"the board never told {name}: {self.log}") from None
            if name in fact:
                return fact

    def expect_log(self, words, seconds=30):
        until(lambda: any(words in line for line in self.log), seconds)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._process.kill()
        self._process.wait()


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)
