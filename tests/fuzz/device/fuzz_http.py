"""An HTTP download. Input: the offset it begins at, the bytes that come at a time, what the server sends on all connections."""

# SPDX-License-Identifier: MIT
import sys

_SIZE = 600
_EOF = 0xF5  # a byte that no text has: the connection ends here


class _Socket:
    """A raw socket as the port has it. `data` and `at` are of the class: the next connection goes on where the last ended."""

    data = b""
    at = 0
    step = 1

    def connect(self, address):
        pass

    def settimeout(self, seconds):
        pass

    def setblocking(self, blocking):
        pass

    def write(self, data):
        return len(data)

    def read(self, n):
        buf = bytearray(n)
        return bytes(buf[: self.readinto(buf)])

    def readinto(self, buf):
        n = 0
        data = _Socket.data
        while n < min(len(buf), _Socket.step) and _Socket.at < len(data):
            c = data[_Socket.at]
            _Socket.at += 1
            if c == _EOF:
                break
            buf[n] = c
            n += 1
        return n

    def close(self):
        pass


class _Sockets:
    SOCK_STREAM, AF_INET = 1, 2

    def socket(self, *args):
        return _Socket()

    def getaddrinfo(self, host, port, *hints):
        return [(2, 1, 0, "", (host, port))]


sys.modules["socket"] = _Sockets()

from ota.download.http import Source
from ota.transport import net

net.install(None, 50, lambda blocking=False: None)
import urequests


def one(data):
    if len(data) < 2:
        return
    _Socket.data, _Socket.at, _Socket.step = data[2:], 0, data[1] + 1
    source = Source("http://peer/a", _SIZE)
    for offset in (data[0] * 2, 512):  # a second request is bound to the first one's entity tag
        try:
            _fetch(source, min(offset, _SIZE))
        except OSError as e:
            if type(e.errno) is not int:
                raise
        source.close()


def _fetch(source, offset):
    if not source.open(offset):
        return
    buf = bytearray(128)
    while offset < _SIZE:
        n = min(len(buf), _SIZE - offset)
        got = source.readinto(buf, n)
        if got not in (0, n):  # 0: passed over
            raise ValueError("readinto")
        offset += got
    source.ended()
