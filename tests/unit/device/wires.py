"""Sockets as MicroPython's: a scripted one, and pairs of real ones."""

# SPDX-License-Identifier: MIT
import sys

ETIMEDOUT = 110


class Wire:
    """A peer that has sent `rx` and, unless `open`, has closed; what is written goes to `tx`. The semantics are those of
    MicroPython's streams: reads fill their buffer, or where they do not block return what has come; None is "would block"."""

    def __init__(self, rx=b"", is_open=True):
        self.rx = rx
        self.tx = b""
        self.is_open = is_open
        self.takes = 1 << 30  # bytes per write; None: takes nothing
        self.endless = None  # a byte that is sent for ever
        self.closed = 0
        self._blocking = True

    def connect(self, address):
        self.address = address

    def settimeout(self, s):
        self._blocking = True

    def setblocking(self, blocking):
        self._blocking = blocking

    def read(self, n):
        buf = bytearray(n)
        got = self.readinto(buf)
        return None if got is None else bytes(buf[:got])

    def readinto(self, buf):
        if self.endless:
            for i in range(len(buf)):
                buf[i] = self.endless
            return len(buf)
        n = min(len(buf), len(self.rx))
        for i in range(n):
            buf[i] = self.rx[i]
        self.rx = self.rx[n:]
        if n < len(buf) and self.is_open:
            if not self._blocking:
                return n or None
            raise OSError(ETIMEDOUT, "")
        return n

    def write(self, data):
        if self.takes is None:
            return None
        n = min(len(data), self.takes)
        self.tx += bytes(data[:n])
        return n

    def close(self):
        self.closed += 1


def pair():
    """Two connected sockets of the system."""
    import socket

    if sys.implementation.name == "cpython":
        return [_Stream(one) for one in socket.socketpair()]
    listener = socket.socket()
    for port in range(20000, 60000, 137):
        address = socket.getaddrinfo("127.0.0.1", port)[0][-1]
        try:
            listener.bind(address)
            break
        except OSError:
            pass
    listener.listen(1)
    one = socket.socket()
    one.connect(address)
    other = listener.accept()[0]
    listener.close()
    return one, other


class _Stream:
    """CPython's socket as MicroPython's."""

    def __init__(self, sock):
        self._sock = sock

    def settimeout(self, s):
        self._sock.settimeout(s)

    def setblocking(self, blocking):
        self._sock.setblocking(blocking)

    def readinto(self, buf):
        got = 0
        while got < len(buf):
            try:
                n = self._sock.recv_into(memoryview(buf)[got:])
            except BlockingIOError:
                return got or None
            except TimeoutError:
                raise OSError(ETIMEDOUT, "")
            if not n:
                break
            got += n
        return got

    def read(self, n):
        buf = bytearray(n)
        got = self.readinto(buf)
        return None if got is None else bytes(buf[:got])

    def write(self, data):
        return self._sock.send(data)

    def close(self):
        self._sock.close()


def no_feed(blocking=False):
    pass
