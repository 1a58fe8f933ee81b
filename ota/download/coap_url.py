"""What a coap or coaps URL says (RFC 7252 section 6.4). Needed once for each download."""

# SPDX-License-Identifier: MIT
from binascii import unhexlify

from micropython import const

from ota.transport.coap_session import ACCEPT, CONTENT_FORMAT, JSON, OCTETS, URI_PATH

_URI_HOST = const(3)
_URI_QUERY = const(15)
_PORT = const(5683)
_SECURE_PORT = const(5684)
_E_URL = const(1026)


def read(url):
    """(whether DTLS, (host, port), options of a request for it, whether it is Linkkit's); OSError for any other URL."""
    scheme, rest = _halves(url, "://")
    if scheme not in ("coap", "coaps") or "#" in rest:
        raise OSError(_E_URL)
    rest, query = _halves(rest, "?")
    authority, path = _halves(rest, "/")
    host, port = _halves(authority, ":")
    if host != authority and not (port.isdigit() and 0 < int(port) < 65536):
        raise OSError(_E_URL)
    if not host or not path or "@" in host:
        raise OSError(_E_URL)
    secure = scheme == "coaps"
    path = _parts(path, "/")
    linkkit = path[0] == b"topic"
    options = () if _is_address(host) else ((_URI_HOST, host.encode()),)
    options += ((URI_PATH, path),)
    if linkkit:
        options += ((CONTENT_FORMAT, JSON),)
    options += ((_URI_QUERY, _parts(query, "&")),)
    if linkkit:
        options += ((ACCEPT, OCTETS),)
    return secure, (host, int(port or (_SECURE_PORT if secure else _PORT))), options, linkkit


def _halves(text, separator):
    """What stands before the separator and behind it; the ESP8266's str has no partition()."""
    at = text.find(separator)
    return (text, "") if at < 0 else (text[:at], text[at + len(separator) :])


def _parts(text, separator):
    return tuple(_decoded(part) for part in text.split(separator)) if text else ()


def _decoded(part):
    """A part's bytes, without percent encoding."""
    head, *rest = part.encode().split(b"%")
    for piece in rest:
        try:
            head += unhexlify(piece[:2]) + piece[2:]
        except ValueError:
            raise OSError(_E_URL)
    return head


def _is_address(host):
    for c in host.encode():
        if c not in b".0123456789":
            return False
    return True
