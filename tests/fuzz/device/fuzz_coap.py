"""CoAP: the channel and the download over what a peer sends. Input: flags, then datagrams, each behind its length and a byte
that says whether it answers: message id and token are then those of the last request."""

# SPDX-License-Identifier: MIT
import io
import sys

_SIZE = 3000
_BUF = 2048
_BLOCK = 1024
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

    def write(self, buf):
        n = len(buf)
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

    def close(self):
        pass


class _Sockets:
    SOCK_DGRAM, AF_INET = 2, 2

    def socket(self, *args):
        return _Socket()

    def getaddrinfo(self, host, port, *hints):
        return [(2, 2, 0, "", (host, port))]


class _Clock:
    """Nobody waits: every look takes 10 ms."""

    now = 0

    def ticks_ms(self):
        _Clock.now += 10
        return _Clock.now

    def ticks_add(self, ticks, ms):
        return ticks + ms

    def ticks_diff(self, a, b):
        return a - b

    def sleep_ms(self, ms):
        pass


sys.modules["socket"] = _Sockets()

from ota.download.coap import Source
from ota.transport import coap, coap_link

coap.time = coap_link.time = _Clock()
_IDENTITY = "pk", "dn", "secret"


def no_feed(blocking=False):
    pass


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

    channel = coap.Coap(_IDENTITY, ("peer", 5683), (False, None), 1, (deliver, lambda: None), bytearray(_BUF), no_feed)
    channel.inform("1.0.0")
    channel.report(10)
    for _ in range(_STEPS):
        channel.poll()


def _download(path):
    buf = bytearray(_BUF)
    source = Source("coap://peer/" + path, _SIZE, _IDENTITY, None, buf, no_feed)
    source.open(0)
    done = 0
    for _ in range(_STEPS):
        n = source.readinto(buf, min(_BUF, _SIZE - done))
        if n is not None:
            if not 0 < n <= _BLOCK:
                raise ValueError("readinto")
            done += n
            if done >= _SIZE:
                break
    if done > _SIZE:
        raise ValueError("more than was announced")
    source.ended()
