"""Which transport and which download the service's fields and an artifact's URL name; only these are imported."""

# SPDX-License-Identifier: MIT
from micropython import const

MQTT = const(0)
COAP = const(1)

_NET_TIMEOUT_MS = const(3000)
_E_NO_TLS = const(1045)


def transport(service, board, config, callbacks, buf):
    """The channel to the server. callbacks: on_message(payload), on_connect(), on_secret(ds).

    A device without a secret registers first: that stands in for the channel and ends with on_secret."""
    if service.trans_protcol not in (MQTT, COAP):
        raise ValueError("trans_protcol")
    on_message, on_connect, on_secret = callbacks
    if not service.ds and service.ps:
        return _registration(service, board, config, on_secret)
    if service.trans_protcol == COAP:
        from ota.transport import coap

        server = service.server or config.SERVER or coap.default_server(service.pk)
        security = service.tls, config.CA
        return coap.Coap(_identity(service), server, security, service.poll_s, (on_message, on_connect), buf, board.feed)
    _install_sockets(board, config)
    from ota.transport import mqtt  # binds the sockets

    server = service.server or config.SERVER or mqtt.default_server(service.pk)
    return mqtt.Mqtt(_identity(service), server, service.tls and board.has_tls, on_message, on_connect)


def source(service, board, config, notice, buf):
    """Where the artifact comes from. Its large buffers come last: what an import leaves for good must not lie above them, in
    the room that they free for the patch decoder."""
    import gc

    if notice.patch:
        import ota.install
    if notice.url.startswith("coap"):
        from ota.download import coap

        gc.collect()
        return coap.Source(notice.url, notice.size, _identity(service), config.CA, buf, board.feed)
    if service.trans_protcol == COAP:  # MQTT has them, and the certificate in them
        _install_sockets(board, config)
    from ota.download import http

    gc.collect()
    return http.Source(notice.url, notice.size)


def _registration(service, board, config, on_secret):
    if not board.has_tls:
        raise OSError(_E_NO_TLS)
    _install_sockets(board, config)
    from ota.registration import Registration

    return Registration((service.pk, service.dn, service.ps), service.auth_server, board, on_secret)


def _identity(service):
    return service.pk, service.dn, service.ds


def _install_sockets(board, config):
    """For the libraries; an update over CoAP alone does without them."""
    from ota.transport import net

    net.install(config.CA if board.has_tls else None, _NET_TIMEOUT_MS, board.feed)
