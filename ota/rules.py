"""Which upgrade notice is accepted (DESIGN.md, "Trust"): rules without I/O, checked before a byte is fetched."""

# SPDX-License-Identifier: MIT
from micropython import const

from ota import message
from ota.verify import digestsign

DOWNLOAD_COAP = const(1)
DOWNLOAD_HTTP = const(2)
DOWNLOAD_HTTPS = const(3)
SIGN_SHA256 = const(0)
SIGN_MD5 = const(1)
SIGN_RSA = const(2)

_E_OLD_VERSION = const(1010)
_E_LONG = const(1021)
_E_METHOD = const(1023)
_E_URL = const(1026)
_E_BIG = const(1027)
_E_BUSY = const(1029)
_E_TRIAL = const(1030)
_E_REJECTED = const(1031)
_E_ALONE = const(1092)


def of(service, board, config):
    """The rules that a service's fields make; ValueError if one is wrong."""
    return Rules(service.dl_protcol, service.sign_type, board.has_tls, config.DIGEST_KEY)


class Rules:
    """dl_protcol, sign_type: the service's fields. has_tls: the board's. digest_key: who signs notices, or None."""

    def __init__(self, dl_protcol, sign_type, has_tls, digest_key):
        if dl_protcol not in (DOWNLOAD_COAP, DOWNLOAD_HTTP, DOWNLOAD_HTTPS):
            raise ValueError("dl_protcol")
        if sign_type not in (SIGN_SHA256, SIGN_MD5, SIGN_RSA):
            raise ValueError("sign_type")
        self._plain = {DOWNLOAD_COAP: "coap://", DOWNLOAD_HTTP: "http://"}.get(dl_protcol)
        self._sign_type = sign_type
        self._has_tls = has_tls
        self._digest_key = digest_key

    def judge(self, payload, running, version, active, inactive, work):
        """Reads an upgrade message. Returns its Notice, or None if there is nothing to begin; OSError(code) if it is refused. running: the
        notice under way, or None; the rest as for check."""
        from ota.notice import parse

        try:
            notice = parse(payload)
        except MemoryError:
            raise OSError(_E_LONG)  # what is in it, perhaps, not its bytes
        if notice and self.check_idle(notice, running):
            self.check(notice, version, active, inactive, work)
            notice.digestsign = None  # it has served, and takes 272 bytes
            return notice

    def check(self, notice, version, active, inactive, work):
        """OSError(code) if the notice is refused. version: the running one; work: a scratch buffer of 2 KiB.

        An artifact that was rejected before is told last, from a notice that is otherwise good."""
        if not active.confirmed:
            raise OSError(_E_TRIAL)
        if message.numbers(notice.version) <= message.numbers(version):
            raise OSError(_E_OLD_VERSION)
        if notice.size > inactive.room:
            raise OSError(_E_BIG)
        if not self._fetches(notice.url):
            raise OSError(_E_URL)
        self._check_signature(notice, work)
        if inactive.rejected and inactive.reason != _E_ALONE and inactive.holds(int(notice.patch), notice.size, notice.digest):
            raise OSError(_E_REJECTED)

    def check_idle(self, notice, running):
        """Returns True if no update is under way, False if this very one is; another one is refused.
        running: its notice, or None."""
        if running and notice.digest != running.digest:
            raise OSError(_E_BUSY)
        return not running

    def _fetches(self, url):
        """https and coaps always, one of http and coap by dl_protcol. Without DTLS coaps is refused by its source."""
        scheme = (self._has_tls and url.startswith("https://")) or url.startswith("coaps://")
        return (scheme or (self._plain and url.startswith(self._plain))) and _names_a_host(url)

    def _check_signature(self, notice, work):
        md5 = notice.method == "MD5"
        if md5 and self._sign_type != SIGN_MD5:
            raise OSError(_E_METHOD)
        digestsign.check(notice, self._digest_key, md5 or self._sign_type == SIGN_RSA, work)


def _names_a_host(url):
    """True if the URL has a host and, behind a colon, a port."""
    start = url.find("//") + 2
    end = url.find("/", start)
    authority = url[start:end] if end >= 0 else url[start:]
    colon = authority.find(":")
    if colon < 0:
        return bool(authority)
    port = authority[colon + 1 :]
    return colon > 0 and port.isdigit() and 0 < int(port) < 65536
