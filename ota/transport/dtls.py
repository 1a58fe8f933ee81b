"""DTLS 1.2 over a connected UDP socket, the server's certificate verified; and what to say where there is none."""

# SPDX-License-Identifier: MIT
import io

from micropython import const

from ota import native

_ECONNRESET = const(104)
_CONN_EOF = const(-0x7280)  # of mbedTLS
_TIMEOUT = const(-0x6800)
_E_TLS = const(1044)
_E_NO_TLS = const(1045)


def require(ca):
    """OSError where this firmware cannot do DTLS, or has no CA: coaps is refused, never downgraded."""
    try:
        if ca is None:
            raise ImportError
        from tls import PROTOCOL_DTLS_CLIENT
    except ImportError:
        raise OSError(_E_NO_TLS)
    return PROTOCOL_DTLS_CLIENT


class _Datagrams(io.IOBase):
    """The socket as TLS wants it: an empty datagram, which anybody may forge, is not the end of the stream."""

    def __init__(self, sock):
        self._sock = sock

    def readinto(self, buf):
        return native.datagram(self._sock, buf) or None

    def write(self, buf):
        return self._sock.write(buf)

    def ioctl(self, request, arg):
        return 0  # who made the socket closes it


def wrap(sock, host, ca):
    """The encrypted stream. Its handshake goes on with every read and write; until it is over a write returns None."""
    import tls

    context = tls.SSLContext(require(ca))
    context.verify_mode = tls.CERT_REQUIRED
    try:
        context.load_verify_locations(ca)
        return context.wrap_socket(_Datagrams(sock), server_hostname=host, do_handshake_on_connect=False)
    except (OSError, ValueError) as e:
        raise fault(e)


def fault(e):
    """Failures of certificate and handshake are E_TLS; the system's errors stay what they are, and a peer that went away amid the
    handshake is one of them."""
    if not isinstance(e, ValueError) and e.errno in (_CONN_EOF, _TIMEOUT):
        return OSError(_ECONNRESET)
    if isinstance(e, ValueError) or (e.errno or 0) < 0:  # none, where there was no memory for it
        return OSError(_E_TLS)
    return e
