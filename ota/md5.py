"""MD5 (RFC 1321) by the core, for boards whose hashlib has none, and HMAC-MD5 (RFC 2104), with which Linkkit signs
over CoAP. It protects nothing by itself: digests by MD5 need digestsign, and CoAP needs DTLS to be secret."""

# SPDX-License-Identifier: MIT
from ota import native


class Md5:
    """As hashlib's objects."""

    def __init__(self):
        self._state = bytearray(native.MD5_STATE)
        native.md5_init(self._state)

    def update(self, data):
        native.md5_push(self._state, data, len(data))

    def digest(self):
        """Ends the hash; the object is used up."""
        return native.md5_finish(self._state)


def hmac(key, text):
    """The lower-case hex HMAC-MD5 of a text."""
    from binascii import hexlify

    key = key.encode()
    if len(key) > 64:
        key = _hash(key, b"")
    key = key + bytes(64 - len(key))
    inner = _hash(bytes(b ^ 0x36 for b in key), text.encode())
    return hexlify(_hash(bytes(b ^ 0x5C for b in key), inner)).decode()


def _hash(first, second):
    md5 = Md5()
    md5.update(first)
    md5.update(second)
    return md5.digest()
