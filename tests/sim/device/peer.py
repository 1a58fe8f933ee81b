"""The other end of the wire: a broker, an OTA service and a web server in the device's process, that speak the bytes of MQTT
3.1.1 and HTTP. Stands for `socket`."""

# SPDX-License-Identifier: MIT
import json

import clock
from _starve import outside

SOCK_STREAM = 1
AF_INET = 2
_ECONNREFUSED = 111
_ECONNRESET = 104
_HTTP_PORT = 80
_WAIT_MS = 500
_COMMITTED = 100  # step of a report
_OF_PATCH = range(1070, 1076)  # codes

server = None  # the Server of this life
sockets = 0  # that are open


class Server:
    """What the server offers, how badly it does so, and what the device told it.

    offer: an artifact (world.py) or None. offline: nothing answers. drops: offsets of the artifact at which the connection
    is lost, each once. ranges: answer Range requests. corrupt: how many answers carry a wrong byte."""

    def __init__(self, world):
        self._world = world
        self.offer = None
        self.offline = False
        self.ranges = True
        self.drops = []
        self.corrupt = 0
        self.lied = False
        self.on_committed = None  # called when the device says that an update is committed
        self.instead = None  # what it offers when the device refuses a patch for good
        self.informed = None  # version of the last inform
        self.failures = []  # (step, code) reported
        self.delivered = 0  # artifact bytes the device has got, highest offset
        self.repeated = 0  # most bytes that a request asked for again
        self.requests = 0

    def tell(self, offer):
        """Offers an artifact from now on."""
        self.offer = offer
        self.failures = []
        self.lied = False
        self.delivered = self.repeated = 0

    def told(self, topic, payload):
        """A message from the device; returns the answer to publish or None."""
        message = json.loads(payload)["params"]
        if "version" in message:
            self.informed = message["version"]
        elif "step" in message:
            step = int(message["step"])
            if step < 0:
                self._refused(step, int(message["desc"].split(" ")[0]))
            elif step == _COMMITTED:
                self.on_committed()
            return None
        if self.offer and self.offer.version != self.informed:
            return self._upgrade(self.offer)
        return None

    def _refused(self, step, code):
        if self.instead and self.offer.patch and code in _OF_PATCH:
            self.tell(self.instead)
        self.failures.append((step, code))

    def _upgrade(self, offer):
        return json.dumps(
            {
                "code": "1000",
                "id": 1,
                "message": "success",
                "data": {
                    "url": "http://peer/" + offer.name,
                    "version": offer.version,
                    "size": offer.size,
                    "signMethod": "SHA256",
                    "sign": offer.digest,
                    "digestsign": offer.digestsign,
                    "isDiff": offer.patch,
                },
            }
        ).encode()

    def answer(self, lines):
        """(head, data, from where) of an HTTP answer."""
        self.requests += 1
        offer = self._world.offers[lines[0].split(b" ")[1][1:].decode()]
        data = offer.data
        start = 0
        for line in lines:
            if line.startswith(b"Range: bytes=") and self.ranges:
                start = int(line[13:-1])
        if offer == self.offer and self.delivered > start and self.ranges:
            self.repeated = max(self.repeated, self.delivered - start)
        if self.corrupt:
            self.corrupt -= 1
            self.lied = True
            data = bytearray(data)
            data[len(data) // 2] ^= 0x20
        head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\nETag: \"%s\"\r\n" % (
            b"206 Partial Content" if start else b"200 OK",
            len(data) - start,
            offer.digest[:8].encode(),
        )
        if start:
            head += b"Content-Range: bytes %d-%d/%d\r\n" % (start, len(data) - 1, len(data))
        return head + b"\r\n", data, start


class socket:
    """A raw socket: what comes back is decided when the request is whole."""

    @outside
    def __init__(self, *args):
        global sockets
        sockets += 1
        self._open = True
        self._in = bytearray()
        self._out = []  # [bytes-like, position, artifact offset or None]
        self._mqtt = False
        self._lost = False

    @outside
    def settimeout(self, seconds):
        pass

    @outside
    def setblocking(self, blocking):
        pass

    @outside
    def connect(self, address):
        if server.offline:
            raise OSError(_ECONNREFUSED)
        self._mqtt = address[1] != _HTTP_PORT

    @outside
    def close(self):
        global sockets
        sockets -= self._open
        self._open = False

    @outside
    def write(self, data):
        self._in.extend(data)
        if self._mqtt:
            self._packets()
        elif self._in[-4:] == b"\r\n\r\n":
            lines = bytes(self._in).split(b"\r\n")
            self._in = bytearray()
            head, body, start = server.answer(lines)
            self._out = [[head, 0, None], [memoryview(body)[start:], 0, start]]
        return len(data)

    def read(self, n):
        buf = bytearray(n)
        done = self.readinto(buf)
        return None if done is None else bytes(buf[:done])

    @outside
    def readinto(self, buf):
        if server.offline:
            raise OSError(_ECONNRESET)
        while self._out:
            part = self._out[0]
            n = min(len(buf), len(part[0]) - part[1])
            if part[2] is not None:
                n = self._until_drop(part[2] + part[1], n)
            if n > 0:
                buf[:n] = part[0][part[1] : part[1] + n]
                part[1] += n
                if part[2] is not None:
                    server.delivered = max(server.delivered, part[2] + part[1])
                return n
            if not self._lost:
                self._out.pop(0)
        if self._mqtt:
            clock.sleep_ms(_WAIT_MS)
            return None
        return 0

    def _until_drop(self, at, n):
        if self._lost:
            raise OSError(_ECONNRESET)
        for drop in server.drops:
            if at <= drop < at + n:
                server.drops.remove(drop)
                self._lost = True
                return drop - at
        return n

    def _packets(self):
        while True:
            packet = self._packet()
            if packet is None:
                return
            kind, body = packet
            if kind >> 4 == 1:
                self._send(b"\x20\x02\x00\x00")
            elif kind >> 4 == 8:
                self._send(b"\x90\x03" + body[:2] + b"\x00")
            elif kind >> 4 == 12:
                self._send(b"\xd0\x00")
            elif kind >> 4 == 3:
                self._published(kind, body)

    def _packet(self):
        """Takes the next whole packet off the input: (first byte, body)."""
        n = shift = 0
        at = 1
        while at < len(self._in):
            n |= (self._in[at] & 0x7F) << shift
            shift += 7
            at += 1
            if not self._in[at - 1] & 0x80:
                if len(self._in) < at + n:
                    return None
                packet = self._in[0], bytes(self._in[at : at + n])
                self._in = self._in[at + n :]
                return packet
        return None

    def _published(self, kind, body):
        end = 2 + (body[0] << 8 | body[1])
        topic = body[2:end]
        if kind & 6:
            self._send(b"\x40\x02" + body[end : end + 2])
            end += 2
        answer = server.told(topic, body[end:])
        if answer:
            words = topic.split(b"/")
            topic = b"/ota/device/upgrade/%s/%s" % (words[4], words[5])
            n = 2 + len(topic) + len(answer)
            self._send(bytes((0x30, n & 0x7F | 0x80, n >> 7)) + bytes((0, len(topic))) + topic + answer)

    def _send(self, data):
        self._out.append([data, 0, None])


@outside
def getaddrinfo(host, port, *args):
    return [(2, 1, 0, "", (host, port))]
