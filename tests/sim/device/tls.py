"""Stands for `tls`: what is wrapped encrypts nothing."""

# SPDX-License-Identifier: MIT
import io

PROTOCOL_TLS_CLIENT = 0
PROTOCOL_DTLS_CLIENT = 2
CERT_REQUIRED = 2


class SSLContext:
    def __init__(self, protocol):
        self.verify_mode = None

    def load_verify_locations(self, ca):
        pass

    def wrap_socket(self, sock, server_hostname, do_handshake_on_connect):
        return _Wrapped(sock)


class _Wrapped(io.IOBase):
    def __init__(self, sock):
        self._sock = sock

    def setblocking(self, blocking):
        self._sock.setblocking(blocking)

    def read(self, n):
        return self._sock.read(n)

    def readinto(self, buf):
        return self._sock.readinto(buf)

    def write(self, buf):
        return self._sock.write(buf)

    def ioctl(self, request, argument):
        return 0

    def close(self):
        if hasattr(self._sock, "close"):  # DTLS: who made the socket closes it
            self._sock.close()
