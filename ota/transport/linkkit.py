"""Linkkit's identity of a device: MQTT client id, user name and password (SPEC.md section 4)."""

# SPDX-License-Identifier: MIT
from binascii import hexlify

_TIMESTAMP = "2524608000000"


def client_id(pk, dn, secure):
    return "%s.%s|securemode=%d,timestamp=%s,signmethod=hmacsha256,gw=0,ext=0|" % (pk, dn, 2 if secure else 3, _TIMESTAMP)


def user_name(pk, dn):
    return "%s&%s" % (dn, pk)


def password(pk, dn, ds):
    text = "clientId%s.%sdeviceName%sproductKey%stimestamp%s" % (pk, dn, dn, pk, _TIMESTAMP)
    return hexlify(hmac_sha256(ds.encode(), text.encode())).decode()


def hmac_sha256(key, data):
    """HMAC (RFC 2104) with SHA-256."""
    import hashlib

    if len(key) > 64:
        key = hashlib.sha256(key).digest()
    key = key + bytes(64 - len(key))
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in key))
    inner.update(data)
    outer = hashlib.sha256(bytes(b ^ 0x5C for b in key))
    outer.update(inner.digest())
    return outer.digest()
