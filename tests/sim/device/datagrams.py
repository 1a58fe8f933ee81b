"""A CoAP server in the device's process: messages, observation and blocks (RFC 7252, 7641, 7959). It answers each request at once, in its
acknowledgement, and tells an observer of what is new."""

# SPDX-License-Identifier: MIT
import io

import clock
import server
from _starve import outside

_CON, _ACK = 0, 2
_CHANGED, _CONTENT = 68, 69
_ETAG, _OBSERVE, _URI_PATH, _BLOCK2, _SIZE2 = 4, 6, 11, 23, 28
_MORE = 8
_NO_UPGRADE = b'{"data":{}}'
_WAIT_MS = 50


class Datagrams(io.IOBase):
    @outside
    def __init__(self):
        server.sockets += 1
        self._open = True
        self._out = []  # (datagram, where the artifact bytes in it end or None)
        self._observed = None  # token
        self._sequence = self._mid = 0

    @outside
    def setblocking(self, blocking):
        pass

    @outside
    def connect(self, address):
        pass

    @outside
    def close(self):
        server.sockets -= self._open
        self._open = False

    @outside
    def ioctl(self, request, argument):
        return 0

    @outside
    def readinto(self, buf):
        if server.now.offline or not self._out:
            clock.sleep_ms(_WAIT_MS)
            return None
        datagram, end = self._out.pop(0)
        buf[: len(datagram)] = datagram
        if end:
            server.now.got(end)
        return len(datagram)

    @outside
    def write(self, datagram):
        kind, code = datagram[0] >> 4 & 3, datagram[1]
        if kind == _CON and code and not server.now.offline:
            self._asked(bytes(datagram))
        return len(datagram)

    def _asked(self, datagram):
        size = datagram[0] & 15
        token, mid = datagram[4 : 4 + size], datagram[2] << 8 | datagram[3]
        options, payload = _read(datagram, 4 + size)
        path = [value for number, value in options if number == _URI_PATH]
        found = {number: int.from_bytes(value, "big") for number, value in options if number in (_OBSERVE, _BLOCK2)}
        if path == [b"auth"]:
            answer, end = (_CONTENT, (), b'{"token":"token"}'), None
        elif path[0] == b"topic":
            answer, end = self._topic(path[3], token, _OBSERVE in found, payload), None
        else:
            answer, end = _block(path[0].decode(), found.get(_BLOCK2, 6))
        if answer:
            self._send(_ACK, mid, token, answer, end)
        if path[0] == b"topic" and path[3] == b"inform" and self._observed:
            self._notify()

    def _topic(self, name, token, observes, payload):
        if name == b"upgrade" and observes:
            self._observed = token
            self._sequence += 1
            return _CONTENT, ((_OBSERVE, self._sequence),), server.now.upgrade() or _NO_UPGRADE
        answer = server.now.told(name, payload)
        return (_CONTENT, (), answer or _NO_UPGRADE) if name == b"request" else (_CHANGED, (), b"")

    def _notify(self):
        upgrade = server.now.upgrade()
        if upgrade:
            self._sequence += 1
            self._mid += 1
            self._send(_CON, self._mid, self._observed, (_CONTENT, ((_OBSERVE, self._sequence),), upgrade), None)

    def _send(self, kind, mid, token, answer, end):
        code, options, payload = answer
        out = bytes((0x40 | kind << 4 | len(token), code, mid >> 8, mid & 255)) + token
        last = 0
        for number, value in options:
            if type(value) is int:
                value = value.to_bytes(4, "big").lstrip(b"\0")
            delta, last = number - last, number
            out += bytes((min(delta, 13) << 4 | len(value),)) + (bytes((delta - 13,)) if delta >= 13 else b"") + value
        self._out.append((out + b"\xff" + payload if payload else out, end))


def _read(datagram, at):
    """([(option's number, value), ...], payload) of what stands behind the token."""

    def extended(n):
        nonlocal at
        if n == 13:
            at += 1
            return datagram[at - 1] + 13
        if n == 14:
            at += 2
            return (datagram[at - 2] << 8 | datagram[at - 1]) + 269
        return n

    options, number = [], 0
    while at < len(datagram) and datagram[at] != 0xFF:
        delta, size = datagram[at] >> 4, datagram[at] & 15
        at += 1
        number += extended(delta)
        size = extended(size)
        options.append((number, datagram[at : at + size]))
        at += size
    return options, datagram[at + 1 :]


def _block(name, block2):
    """(answer, where its bytes end) to a request for a block; (None, None) if that is lost."""
    size = 16 << (block2 & 7)
    start = (block2 >> 4) * size
    offer, data = server.now.artifact(name, start, start + size)
    end = min(start + size, len(data))
    if server.now.lost(start, end)[1]:
        return None, None
    options = (_ETAG, offer.digest[:8].encode()), (_BLOCK2, block2 >> 4 << 4 | (_MORE if end < len(data) else 0) | block2 & 7), (_SIZE2, len(data))
    return (_CONTENT, options, bytes(data[start:end])), end
