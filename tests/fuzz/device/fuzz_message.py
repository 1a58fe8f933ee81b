"""The upgrade message and the rules that a notice must keep. Input: the message."""

# SPDX-License-Identifier: MIT
from ota.notice import parse
from ota.rules import DOWNLOAD_COAP, DOWNLOAD_HTTP, SIGN_MD5, SIGN_SHA256, Rules


class _Slot:
    """Confirmed and empty; takes any artifact that a trailer can tell of."""

    confirmed = True
    rejected = False
    room = 0x1000000


_RULES = [Rules(protocol, sign, True, None) for protocol, sign in ((DOWNLOAD_COAP, SIGN_MD5), (DOWNLOAD_HTTP, SIGN_SHA256))]
_LENGTHS = {"SHA256": 32, "MD5": 16}


def one(data):
    try:
        notice = parse(data)
    except OSError as e:
        if not 1020 <= e.errno <= 1023:
            raise
        return
    if notice:
        _check(notice)


def _check(notice):
    if type(notice.url) is not str or not 0 < notice.size or len(notice.digest) != _LENGTHS[notice.method]:
        raise ValueError("a field that nobody checked")
    for rules in _RULES:
        try:
            rules.check(notice, "1.0.0", _Slot, _Slot, bytearray(2048))
        except OSError as e:
            if not 1000 < e.errno < 1100:
                raise
