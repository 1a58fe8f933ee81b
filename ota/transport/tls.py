"""TLS for umqtt.simple and urequests, over net.py's sockets: verified certificates. A board without TLS never imports it."""

# SPDX-License-Identifier: MIT
from micropython import const

from ota.transport import net
from ota.transport.dtls import fault

_HANDSHAKE_MS = const(20000)  # no less than net.py gives any write


class SslModule:
    """Stands for `ussl`: no connection without a certificate that the configured CA signed for this host."""

    def __init__(self, ca, timeout_ms, feed, sockets):
        self._ca = ca
        self._sockets = sockets
        self._timeout_ms = timeout_ms
        self._feed = feed
        self._context = None

    def wrap_socket(self, sock, server_hostname=None):
        try:
            wrapped = self._verifying().wrap_socket(sock.raw, server_hostname=server_hostname, do_handshake_on_connect=False)
        except (OSError, ValueError) as e:
            raise fault(e)
        made = _TlsSocket(wrapped, self._timeout_ms, self._feed)
        made.headers = sock.headers
        if sock.headers:
            self._sockets.made[0] = made  # it closes the other too, once
        return made

    def _verifying(self):
        """One context for all connections: it is larger than the rest of the service."""
        if not self._context:
            import tls

            context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
            context.verify_mode = tls.CERT_REQUIRED
            context.load_verify_locations(self._ca)
            self._context = context
        return self._context


class _TlsSocket(net.Socket):
    """The first write, which is the client's, makes the handshake: so that has the time of a write and no more. Its
    bytes are not seen from here, and so the time-out for a byte holds behind it only."""

    def __init__(self, wrapped, timeout_ms, feed):
        super().__init__(wrapped, timeout_ms, feed)
        self._patience_ms = _HANDSHAKE_MS
        self._agreed = False

    def write(self, data, n=-1):
        try:
            super().write(data, n)
        except (OSError, ValueError) as e:
            raise e if self._agreed else fault(e)
        self._agreed = True
