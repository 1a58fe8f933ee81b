"""The upgrade message (SPEC.md section 4): nothing in it is believed for its type, length or presence; a refusal is OSError(code).

Loaded for each message and let go; what it returns holds none of its functions.
"""

# SPDX-License-Identifier: MIT
from micropython import const

from ota.message import Notice

MESSAGE_MAX = const(2048)  # bytes of an upgrade message

_URL_MAX = const(512)
_VERSION_MAX = const(64)
_DEPTH_MAX = const(16)
_BRACKETS_MAX = const(64)  # an empty list of two bytes takes 32 of the heap
_E_JSON = const(1020)
_E_LONG = const(1021)
_E_FIELD = const(1022)
_E_METHOD = const(1023)


def parse(payload):
    """Reads an upgrade message (bytes). Returns a Notice, or None if it announces nothing."""
    if len(payload) > MESSAGE_MAX:
        raise OSError(_E_LONG)
    message = _load(payload)
    if type(message) is not dict:
        raise OSError(_E_FIELD)
    data = message.get("data")
    if data == {} or (data is None and "params" in message):
        return None  # nothing to upgrade to, or the broker's echo of our own request
    status = message.get("message", "success")
    if type(data) is not dict or type(status) is not str or not status.startswith("success"):
        raise OSError(_E_FIELD)
    return _notice(data)


def _notice(data):
    notice = Notice()
    notice.url = _text(data, "url", _URL_MAX)
    notice.version = _text(data, "version", _VERSION_MAX)
    notice.size = data.get("size")
    if type(notice.size) is not int or notice.size <= 0:
        raise OSError(_E_FIELD)
    notice.method, notice.digest = _digest(data)
    notice.digestsign = _digestsign(data)
    notice.patch = _flag(data, "isDiff")
    return notice


def _load(payload):
    import json

    if payload[-1:] == b"\0":
        payload = payload[:-1]  # AliOS's peers end a payload as a C string
    if not _is_whole(payload):
        raise OSError(_E_JSON)
    try:
        return json.loads(payload)
    except (ValueError, TypeError, RuntimeError):
        # TypeError: a key that cannot be one; RuntimeError: nested too deeply
        raise OSError(_E_JSON)


def _is_whole(payload):
    """True if every bracket is closed, and there are few of them and none deep: MicroPython's json reads what was cut as if it were whole."""
    depth = opened = 0
    inside = escaped = False
    for c in payload:
        if c < 0x20 and c not in b"\t\r\n":
            return False
        if inside:
            if escaped:
                escaped = False
            elif c == 0x5C:
                escaped = True
            elif c == 0x22:
                inside = False
        elif c == 0x22:
            inside = True
        elif c in b"{[":
            depth += 1
            opened += 1
        elif c in b"}]":
            depth -= 1
        if not 0 <= depth <= _DEPTH_MAX or opened > _BRACKETS_MAX:
            return False
    return depth == 0 and not inside


def _text(data, name, limit):
    value = data.get(name)
    if type(value) is not str or not value:
        raise OSError(_E_FIELD)
    if len(value) > limit:
        raise OSError(_E_LONG)
    for c in value.encode():
        if not 0x20 < c < 0x7F:
            raise OSError(_E_FIELD)
    return value


def _flag(data, name):
    value = data.get(name, 0)
    if type(value) not in (int, bool) or value not in (0, 1):
        raise OSError(_E_FIELD)
    return value == 1


def _digest(data):
    method = data.get("signMethod", "Md5")
    name = "sign" if "signMethod" in data else "md5"
    if type(method) is not str:
        raise OSError(_E_FIELD)
    method = method.upper()
    if method not in ("SHA256", "MD5"):
        raise OSError(_E_METHOD)
    text = _text(data, name, 64)
    if len(text) != (64 if method == "SHA256" else 32):
        raise OSError(_E_FIELD)
    for c in text.encode():
        if c not in b"0123456789abcdefABCDEF":
            raise OSError(_E_FIELD)
    from binascii import unhexlify

    return method, unhexlify(text)


def _digestsign(data):
    if "digestsign" not in data:
        return None
    from binascii import a2b_base64

    try:
        return a2b_base64(_text(data, "digestsign", 512))
    except ValueError:
        raise OSError(_E_FIELD)
