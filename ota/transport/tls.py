"""TLS for umqtt.simple and urequests, over net.py's sockets: verified certificates. A board without TLS never imports it."""

# SPDX-License-Identifier: MIT
from micropython import const

from ota.transport import net

_E_TLS = const(1044)


class SslModule:
    """Stands for `ussl`: no connection without a certificate that the configured CA signed for this host."""

    def __init__(self, ca, timeout_ms, feed):
        self._ca = ca
        self._timeout_ms = timeout_ms
        self._feed = feed
        self._context = None

    def wrap_socket(self, sock, server_hostname=None):
        try:
            wrapped = self._verifying().wrap_socket(sock.raw, server_hostname=server_hostname)
            return _TlsSocket(wrapped, sock.raw, self._timeout_ms, self._feed)
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


class _TlsSocket(net.Socket):
    secure = True

    def __init__(self, wrapped, plain, timeout_ms, feed):
        super().__init__(wrapped, timeout_ms, feed)
        self._plain = plain

    def close(self):
        self.raw.close()
        self._plain.close()
