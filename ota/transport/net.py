"""Sockets for umqtt.simple and urequests: bounded reads, time-outs, verified certificates.

Both libraries import `usocket` and `ussl` by name; `install` puts the modules below there. What they
leave out (time-outs, limits, certificate checks) is done here, once, for both.
"""

# SPDX-License-Identifier: MIT
import sys
import time

from micropython import const

_LINE_MAX = const(1024)
_READ_MAX = const(2064)  # the longest message, its topic, and one byte more to tell that it was too long
_E_TLS = const(1044)
_ETIMEDOUT = const(110)
_ECONNRESET = const(104)
_DRAIN = const(128)


class Socket:
    """A socket that cannot block for longer than timeout_ms a call."""

    def __init__(self, raw, timeout_ms):
        self.raw = raw
        self._timeout_ms = timeout_ms
        self._blocking = True

    def connect(self, address):
        self.raw.settimeout(self._timeout_ms / 1000)
        self.raw.connect(address)

    def setblocking(self, blocking):
        """False lets the next `read` return None at once when nothing has come."""
        self._blocking = blocking

    def write(self, data, n=-1):
        self._block()
        view = memoryview(data)
        if n >= 0:
            view = view[:n]
        end = time.ticks_add(time.ticks_ms(), self._timeout_ms)
        while view:
            done = self.raw.write(view)
            if done:
                view = view[done:]
            elif time.ticks_diff(end, time.ticks_ms()) <= 0:
                raise OSError(_ETIMEDOUT)

    def read(self, n):
        """Exactly n bytes; None if not blocking and nothing came; past the limit the rest is read and dropped."""
        if not self._blocking:
            self.raw.setblocking(False)
            first = self.raw.read(1)
            if first is None or n == 1:
                return first
        else:
            first = b""
        got = bytearray(min(n, _READ_MAX))
        got[: len(first)] = first
        self._fill(memoryview(got)[len(first) :])
        left = n - len(got)
        if left > 0:
            drop = memoryview(bytearray(_DRAIN))
            while left > 0:
                self._fill(drop[: min(left, _DRAIN)])
                left -= _DRAIN
        return bytes(got)

    def readinto(self, buf):
        """At least one byte, 0 at the end of the stream."""
        self._block()
        end = time.ticks_add(time.ticks_ms(), self._timeout_ms)
        while True:
            n = self.raw.readinto(buf)
            if n is not None:
                return n
            if time.ticks_diff(end, time.ticks_ms()) <= 0:
                raise OSError(_ETIMEDOUT)

    def readline(self):
        self._block()
        line = bytearray()
        one = bytearray(1)
        while len(line) < _LINE_MAX:
            if not self.readinto(one):
                break
            line += one
            if one[0] == 10:
                break
        return bytes(line)

    def close(self):
        self.raw.close()

    def _fill(self, view):
        while view:
            n = self.readinto(view)
            if not n:
                raise OSError(_ECONNRESET)
            view = view[n:]

    def _block(self):
        self.raw.settimeout(self._timeout_ms / 1000)


class _SocketModule:
    """Stands for `usocket`."""

    def __init__(self, timeout_ms):
        import socket

        self._socket = socket
        self._timeout_ms = timeout_ms
        self.SOCK_STREAM = socket.SOCK_STREAM
        self.getaddrinfo = socket.getaddrinfo

    def socket(self, *args):
        return Socket(self._socket.socket(*args), self._timeout_ms)


class _SslModule:
    """Stands for `ussl`: no connection without a certificate that the configured CA signed for this host."""

    def __init__(self, ca, timeout_ms):
        self._ca = ca
        self._timeout_ms = timeout_ms
        self._context = None

    def wrap_socket(self, sock, server_hostname=None):
        try:
            wrapped = self._verifying().wrap_socket(sock.raw, server_hostname=server_hostname)
            return _TlsSocket(wrapped, sock.raw, self._timeout_ms)
        except ValueError:
            raise OSError(_E_TLS)
        except OSError as e:
            raise OSError(_E_TLS if e.errno < 0 else e.errno)

    def _verifying(self):
        """One context for all connections: it is larger than the rest of the service."""
        if not self._context:
            import tls

            context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
            context.verify_mode = tls.CERT_REQUIRED
            context.load_verify_locations(self._ca)
            self._context = context
        return self._context


class _TlsSocket(Socket):
    def __init__(self, wrapped, plain, timeout_ms):
        super().__init__(wrapped, timeout_ms)
        self._plain = plain

    def _block(self):
        self._plain.settimeout(self._timeout_ms / 1000)

    def close(self):
        self.raw.close()
        self._plain.close()


def install(ca, timeout_ms):
    """Puts the modules in place. ca: the CA certificate, DER or PEM bytes, or None where there is no TLS."""
    sys.modules["usocket"] = _SocketModule(timeout_ms)
    if ca is not None:
        sys.modules["ussl"] = _SslModule(ca, timeout_ms)
