"""Sockets for umqtt.simple and urequests: bounded reads and time-outs; and HTTP requests that follow no redirect.

Both libraries import `usocket` and `ussl` by name; `install` puts the module below and tls.py's there. What they
leave out (time-outs, limits, certificate checks) is done here and there, once, for both.
"""

# SPDX-License-Identifier: MIT
import sys
import time

from micropython import const

_LINE_MAX = const(1024)
_HEAD_MAX = const(8192)  # bytes of a status line and all headers
_READ_MAX = const(2064)  # the longest message, its topic, and one byte more to tell that it was too long
_OPERATION_MS = const(20000)
_ANSWER_MS = const(10000)
_HEADERS = (b"content-length", b"content-range", b"etag", b"location", b"transfer-encoding")
_EHOSTUNREACH = const(113)
_ETIMEDOUT = const(110)
_ECONNRESET = const(104)
_DRAIN = const(128)


class Socket:
    """A socket that waits at most timeout_ms for a byte, and 10 s for the first one after a write; what is read into one buffer or written
    at once takes 20 s at most, and so does an operation that reads lines or messages. feed(): the board's, called before each wait."""

    headers = False  # readline() puts their names into lower case, and the library knows none of them

    def __init__(self, raw, timeout_ms, feed):
        self.raw = raw
        self._feed = feed
        self._timeout_ms = self._patience_ms = timeout_ms
        self._blocking = True
        self._one = bytearray(1)
        self._began = self._moved = 0
        self._head_left = _HEAD_MAX
        self.unheard = 0  # pings since the last byte
        self.restart()

    def restart(self):
        """Gives an operation that begins now its time."""
        self._end = time.ticks_add(time.ticks_ms(), _OPERATION_MS)

    def connect(self, address):
        self.raw.settimeout(self._timeout_ms / 1000)
        self._feed(True)
        try:
            self.raw.connect(address)
        finally:
            self._feed()

    def setblocking(self, blocking):
        """False lets the next `read` return None at once when nothing has come."""
        self._blocking = blocking

    def write(self, data, n=-1):
        view = memoryview(data)
        if n >= 0:
            view = view[:n]
        self._begin()
        while True:
            n = self.raw.write(view)
            if n:
                view = view[n:]
            if not len(view):
                self._patience_ms = _ANSWER_MS
                return
            self._wait(n)

    def read(self, n):
        """Exactly n bytes; past the limit the rest is read and dropped. Not blocking: one byte, or None if nothing
        came, or b"" at the end."""
        if not self._blocking:
            self.raw.setblocking(False)
            got = self.raw.read(1)
            if got:
                self.unheard, self._patience_ms = 0, self._timeout_ms
            return got
        if n < 0:
            raise OSError(_ECONNRESET)  # lengths in a packet contradict each other
        got = bytearray(min(n, _READ_MAX))
        self._fill(memoryview(got))
        left = n - len(got)
        if left > 0:
            drop = memoryview(bytearray(_DRAIN))
            while left > 0:
                self._fill(drop if left >= _DRAIN else drop[:left])
                left -= _DRAIN
        return bytes(got)

    def readinto(self, buf):
        """Fills buf; returns fewer bytes only at the end of the stream."""
        got = 0
        self._begin()
        while True:
            n = self.raw.readinto(memoryview(buf)[got:] if got else buf)
            if n:
                got += n
                self._patience_ms = self._timeout_ms
            if n == 0 or got == len(buf):
                return got
            self._wait(n)

    def readline(self):
        """A line with its newline; of a longer one the first 1024 bytes, the rest dropped."""
        line = bytearray()
        in_name = self.headers
        while True:
            self._fill(self._one)
            c = self._one[0]
            in_name = in_name and c != 58  # ":"
            if in_name and 65 <= c <= 90:
                self._one[0] = c | 32
            self._head_left -= 1
            if self._head_left < 0:
                raise OSError(_ECONNRESET)
            if len(line) < _LINE_MAX:
                line += self._one
            if c == 10:
                return bytes(line)

    def close(self):
        self.raw.close()

    def _fill(self, buf):
        if time.ticks_diff(self._end, time.ticks_ms()) <= 0:
            raise OSError(_ETIMEDOUT)
        if self.readinto(buf) != len(buf):
            raise OSError(_ECONNRESET)

    def _begin(self):
        """The library's own wait begins anew with each byte: a peer that sends one now and then would hold the board in it."""
        self.raw.setblocking(False)
        self._feed()
        self._began = self._moved = time.ticks_ms()

    def _wait(self, n):
        """Between two tries to move bytes, of which the last one moved n."""
        now = time.ticks_ms()
        if n:
            self._moved = now
        if time.ticks_diff(now, self._moved) >= self._patience_ms or time.ticks_diff(now, self._began) >= _OPERATION_MS:
            raise OSError(_ETIMEDOUT)
        if not n:
            self._feed()
            time.sleep_ms(1)


class _SocketModule:
    """Stands for `usocket`."""

    def __init__(self, timeout_ms, feed):
        import socket

        self._socket = socket
        self._timeout_ms = timeout_ms
        self._feed = feed
        self.SOCK_STREAM = socket.SOCK_STREAM
        self.made = None  # during a request of ours a list: its socket

    def getaddrinfo(self, host, port, *hints):
        self._feed(True)
        try:
            found = self._socket.getaddrinfo(host, int(str(port)), *hints)  # a frozen one above 8191 is no number to Unix's
        except (OSError, OverflowError):
            # the port's own number or text for it, none of them an errno; or a port beyond all numbers
            raise OSError(_EHOSTUNREACH)
        finally:
            self._feed()
        return [one for one in found if one[0] == self._socket.AF_INET] or found  # the only ones that umqtt can use

    def socket(self, *args):
        if self.made:
            raise ValueError  # at a status of 300 the library begins anew, without end
        raw = self._socket.socket(*args)
        try:
            made = Socket(raw, self._timeout_ms, self._feed)
            if self.made is not None:
                made.headers = True
                self.made.append(made)
            return made
        except MemoryError:
            raw.close()
            raise


def request(function, *args, **options):
    """Calls a function of urequests. The response's headers are those of _HEADERS, and no redirect is followed. OSError, or ValueError
    if the answer is not HTTP: then the library leaves its socket open, and it is closed here."""
    sockets = sys.modules["usocket"]
    made = sockets.made = []
    try:
        response = function(*args, parse_headers=_keep, **options)
        made.clear()
        return response
    except OSError:
        made.clear()
        raise
    except (IndexError, TypeError, NotImplementedError, ImportError):
        raise ValueError
    finally:
        sockets.made = None
        for one in made:
            close(one)


def close(stream):
    """Closes what may be lost already."""
    try:
        stream.close()
    except OSError:
        pass


def _keep(line, headers):
    colon = line.find(b":")
    if line[:colon] in _HEADERS:
        headers[line[:colon]] = line[colon + 1 :].strip()


def install(ca, timeout_ms, feed):
    """Puts the modules in place. ca: the CA certificate, DER or PEM bytes, or None where there is no TLS. feed(): the board's."""
    usocket = sys.modules["usocket"] = _SocketModule(timeout_ms, feed)
    if ca is not None:
        from ota.transport import tls

        sys.modules["ussl"] = tls.SslModule(ca, timeout_ms, feed, usocket)
    # the application may have imported the libraries before
    if "umqtt.simple" in sys.modules:
        sys.modules["umqtt.simple"].socket = usocket
    if "urequests" in sys.modules:
        sys.modules["urequests"].usocket = usocket
