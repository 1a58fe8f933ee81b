"""The other end of the wire: a broker and a web server in the device's process, that speak the bytes of MQTT 3.1.1 and HTTP.
Stands for `socket`."""

# SPDX-License-Identifier: MIT
import clock
import server
from _starve import outside
from datagrams import Datagrams

SOCK_STREAM = 1
SOCK_DGRAM = 2
AF_INET = 2
_ECONNREFUSED = 111
_ECONNRESET = 104
_MQTT_PORT = 1883
_WAIT_MS = 500


class Stream:
    """A raw socket: what comes back is decided when the request is whole."""

    @outside
    def __init__(self, *args):
        server.sockets += 1
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
        if server.now.offline:
            raise OSError(_ECONNREFUSED)
        self._mqtt = address[1] == _MQTT_PORT

    @outside
    def close(self):
        server.sockets -= self._open
        self._open = False

    @outside
    def write(self, data):
        self._in.extend(data)
        if self._mqtt:
            self._packets()
        else:
            head, end, body = bytes(self._in).partition(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            if end and len(body) == _length(lines):
                self._in = bytearray()
                head, body, start = _registration() if lines[0].startswith(b"POST ") else _answer(lines)
                self._out = [[head, 0, None], [memoryview(body)[start or 0 :], 0, start]]
        return len(data)

    def read(self, n):
        buf = bytearray(n)
        done = self.readinto(buf)
        return None if done is None else bytes(buf[:done])

    @outside
    def readinto(self, buf):
        if server.now.offline:
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
                    server.now.got(part[2] + part[1])
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
        end, self._lost = server.now.lost(at, at + n)
        return end - at

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
        answer = server.now.told(topic, body[end:])
        if answer:
            words = topic.split(b"/")
            topic = b"/ota/device/upgrade/%s/%s" % (words[4], words[5])
            n = 2 + len(topic) + len(answer)
            self._send(bytes((0x30, n & 0x7F | 0x80, n >> 7)) + bytes((0, len(topic))) + topic + answer)

    def _send(self, data):
        self._out.append([data, 0, None])


def _length(lines):
    """Of a request's body."""
    for line in lines:
        if line.startswith(b"Content-Length: "):
            return int(line[16:])
    return 0


def _registration():
    body = b'{"code":200,"data":{"productKey":"pk","deviceName":"dn","deviceSecret":"secret"}}'
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body, None


def _answer(lines):
    """(head, data, from where) of an HTTP answer."""
    start = 0
    for line in lines:
        if line.startswith(b"Range: bytes=") and server.now.ranges:
            start = int(line[13:-1])
    offer, data = server.now.artifact(lines[0].split(b" ")[1][1:].decode(), start)
    head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\nETag: \"%s\"\r\n" % (
        b"206 Partial Content" if start else b"200 OK",
        len(data) - start,
        offer.digest[:8].encode(),
    )
    if start:
        head += b"Content-Range: bytes %d-%d/%d\r\n" % (start, len(data) - 1, len(data))
    return head + b"\r\n", data, start


def socket(family=AF_INET, kind=SOCK_STREAM, proto=0):
    return Datagrams() if kind == SOCK_DGRAM else Stream()


@outside
def getaddrinfo(host, port, *args):
    return [(2, 1, 0, "", (host, port))]
