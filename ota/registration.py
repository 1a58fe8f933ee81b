"""Dynamic registration (SPEC.md section 4): a device that only knows its product's secret gets its own, over HTTPS.

Stands in for the channel until then; the secret is kept in the board's parameter area before it is used.
"""

# SPDX-License-Identifier: MIT
import random
import time

from micropython import const

from ota import TROUBLE, forget, reason, settings

_BACKOFF_MS = const(2000)
_BACKOFF_MAX_MS = const(64000)
_RANDOM = const(15)
_REPLY_MAX = const(512)
_SECRET_MAX = const(64)
_OK = const(200)
_E_REGISTER = const(1046)
_E_MEMORY = const(1062)
_HOST = "iot-auth.cn-shanghai.aliyuncs.com"
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Registration:
    """identity: (pk, dn, ps). server: (host, port) or None for the cloud's. board: keeps the secret. on_secret(ds) is
    called once."""

    connected = False

    def __init__(self, identity, server, board, on_secret):
        self._pk, self._dn, self._ps = identity
        self._server = server or (_HOST, 443)
        self._board = board
        self._on_secret = on_secret
        self._backoff_ms = 0
        self._next_ms = time.ticks_ms()

    def poll(self):
        if time.ticks_diff(self._next_ms, time.ticks_ms()) > 0:
            return
        try:
            secret = settings.secret(self._board, self._pk, self._dn)
            if not secret:
                secret = _read_reply(self._post(), self._pk, self._dn)
                settings.keep_secret(self._board, self._pk, self._dn, secret)
                print("ota: registered")
            self._on_secret(secret)
        except TROUBLE as e:
            self.lost(e)

    def inform(self, version):
        return False

    def request(self, version):
        return False

    def report(self, step, desc="", qos=0):
        return False

    def lost(self, e):
        forget()  # modules that there was no memory for
        self._backoff_ms = min(self._backoff_ms * 2 or _BACKOFF_MS, _BACKOFF_MAX_MS)
        wait = self._backoff_ms // 2 + random.getrandbits(10) * self._backoff_ms // 2048
        self._next_ms = time.ticks_add(time.ticks_ms(), wait)
        code = _E_MEMORY if isinstance(e, MemoryError) else e.errno or _E_MEMORY
        try:
            print("ota: registering: %s (%d)" % (reason.of(code)[1], code))
        except MemoryError:
            pass  # it is tried again all the same

    def close(self):
        pass

    def _post(self):
        """Sends the form; returns the reply's bytes."""
        import urequests

        from ota.transport import net

        chance = _random_text()
        text = "deviceName%sproductKey%srandom%s" % (self._dn, self._pk, chance)
        form = "productKey=%s&deviceName=%s&random=%s&sign=%s&signMethod=hmacsha256" % (
            self._pk, _quoted(self._dn), chance, _sign(self._ps, text))  # fmt: skip
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        try:
            url = "https://%s:%d/auth/register/device" % self._server
            response = net.request(urequests.request, "POST", url, data=form, headers=headers)
        except ValueError:
            raise OSError(_E_REGISTER)
        try:
            if response.status_code != _OK:
                raise OSError(_E_REGISTER)
            return _read(response.raw, int(response.headers.get(b"content-length", _REPLY_MAX)))
        except ValueError:
            raise OSError(_E_REGISTER)
        finally:
            response.close()


def _random_text():
    """15 letters and digits from the system's source of randomness."""
    import os

    return bytes(_LETTERS[b % len(_LETTERS)] for b in os.urandom(_RANDOM)).decode()


def _sign(ps, text):
    from binascii import hexlify

    from ota.transport.linkkit import hmac_sha256

    return hexlify(hmac_sha256(ps.encode(), text.encode())).decode()


def _quoted(text):
    """Percent-encoded for a form."""
    return "".join("%c" % c if c in _LETTERS or c in b"-_." else "%%%02X" % c for c in text.encode())


def _read(stream, length):
    """At most `length` bytes: a server need not close the connection after them."""
    if not 0 < length <= _REPLY_MAX:
        raise OSError(_E_REGISTER)
    buf = memoryview(bytearray(length))
    n = 0
    while n < length:
        got = stream.readinto(buf[n:])
        if not got:
            break
        n += got
    return bytes(buf[:n])


def _read_reply(reply, pk, dn):
    """The device secret; believed only if it is one and meant for us."""
    import json

    try:
        found = json.loads(reply)
    except ValueError:
        raise OSError(_E_REGISTER)
    data = found.get("data") if type(found) is dict and found.get("code") == _OK else None
    secret = data.get("deviceSecret") if type(data) is dict else None
    if type(secret) is not str or not 0 < len(secret) <= _SECRET_MAX:
        raise OSError(_E_REGISTER)
    if data.get("productKey", pk) != pk or data.get("deviceName", dn) != dn:
        raise OSError(_E_REGISTER)
    return secret
