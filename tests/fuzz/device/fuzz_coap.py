"""CoAP: the channel and the download over what a peer sends. Input: flags, then datagrams, each behind its length and a byte
that says whether it answers: message id and token are then those of the last request."""

# SPDX-License-Identifier: MIT
import io
import sys

_POLL = 3
_READABLE_AND_WRITABLE = 5
_EAGAIN = 11
_SIZE = 3000
_FROM_TOPIC, _CHANNEL = 1, 2
_STEPS = 40


class _Socket(io.IOBase):
    data = b""
    at = 0
    request = bytes(12)

    def connect(self, address):
        pass

    def setblocking(self, blocking):
        pass

    def write(self, buf, n):
        if n >= 12:
            _Socket.request = bytes(buf[:12])
        return n

    def readinto(self, buf):
        data = _Socket.data
        if _Socket.at + 2 > len(data):
            return None
        start = _Socket.at + 2
        end = min(start + data[_Socket.at] * 6, len(data))
        datagram = data[start:end]
        if data[_Socket.at + 1] & 1:
            datagram = datagram[:2] + _Socket.request[2:12] + datagram[2:]
        _Socket.at = end
        n = min(len(buf), len(datagram))
        buf[:n] = datagram[:n]
        return n

    def ioctl(self, request, argument):
        return _READABLE_AND_WRITABLE if request == _POLL else 0

    def close(self):
        pass


class _Sockets:
    SOCK_DGRAM = 2

    def socket(self, *args):
        return _Socket()

    def getaddrinfo(self, host, port, *hints):
        return [(2, 2, 0, "", (host, port))]


sys.modules["socket"] = _Sockets()

from ota.download.coap import Source
from ota.transport.coap import Coap

_IDENTITY = "pk", "dn", "secret"


def one(data):
    if not data:
        return
    _Socket.data, _Socket.at = data, 1
    try:
        if data[0] & _CHANNEL:
            _channel()
        else:
            _download("topic/ota/device/download/pk/dn" if data[0] & _FROM_TOPIC else "artifact")
    except OSError as e:
        if type(e.errno) is not int:
            raise


def _channel():
    def deliver(payload):
        if type(payload) is not bytes or len(payload) > 1280:
            raise ValueError("a message that was not checked")

    channel = Coap(_IDENTITY, ("peer", 5683), (False, None), 1, (deliver, lambda: None))
    channel.inform("1.0.0")
    channel.report(10)
    for _ in range(_STEPS):
        channel.poll()


def _download(path):
    source = Source("coap://peer/" + path, _SIZE, _IDENTITY, None)
    source.open(0)
    buf = bytearray(256)
    done = 0
    for _ in range(_STEPS):
        n = source.readinto(buf)
        if n is not None:
            if not 0 <= n <= len(buf):
                raise ValueError("readinto")
            done += n
            if n < len(buf) or done > _SIZE:
                break
    if done > _SIZE:
        raise ValueError("more than was announced")
    source.ended()
