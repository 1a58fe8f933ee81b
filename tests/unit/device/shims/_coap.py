"""`_ota`'s CoAP messages on CPython: what ota/module/modota_coap.c binds, over the same core through ctypes."""
# SPDX-License-Identifier: MIT

import ctypes as c
from collections import namedtuple

import otacore

_core = otacore.lib()
_core.ota_coap_header.restype = _core.ota_coap_options.restype = _core.ota_coap_option.restype = c.c_bool
Message = namedtuple("Message", "kind code mid token observe block2 size2 etag payload end")


def coap_read(buf, n):
    if not 0 <= n <= len(buf):
        raise ValueError("length")
    data, m = bytes(buf[:n]), otacore.Coap()
    if not _core.ota_coap_header(c.byref(m), data, n):
        return None
    good = _core.ota_coap_options(c.byref(m), data, n)
    token, etag = data[4 : 4 + m.token_size], data[m.etag : m.etag + m.etag_size]
    return Message(m.kind, m.code, m.mid, token, m.observe, m.block2, m.size2, etag, m.payload if good else -1, n)


def coap_write(kind, code, mid, token, options, payload):
    flat = list(_flat(options))
    buf = c.create_string_buffer(16 + sum(5 + len(value) for _, value in flat) + len(payload))
    w = otacore.CoapWriter(c.addressof(buf), len(buf))
    _core.ota_coap_begin(c.byref(w), kind, code, mid, token, len(token))
    for number, value in flat:
        if not _core.ota_coap_option(c.byref(w), number, value, len(value)):
            raise ValueError("option")
    _core.ota_coap_payload(c.byref(w), payload, len(payload))
    return buf.raw[: w.n]


def _flat(options):
    """(number, bytes) of each option."""
    for number, value in options:
        if isinstance(value, int):
            yield number, value.to_bytes((value.bit_length() + 7) // 8, "big")
        elif isinstance(value, tuple):
            yield from ((number, part) for part in value)
        else:
            yield number, value
