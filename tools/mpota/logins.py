"""Who may speak over CoAP and who may register: Linkkit's /auth tokens and its dynamic registration (SPEC.md section 4)."""
# SPDX-License-Identifier: MIT

import hashlib
import hmac
import json
import secrets
import time
from collections import OrderedDict

from mpota.errors import ToolError
from mpota.store import Store

LIFETIME_S = 7 * 24 * 3600
MAX_TOKENS = 16384
MAX_BODY = 1024
RANDOMS = 4096


def _texts(body, names):
    """The values of `names` in the JSON object `body`, all of them texts, or None."""
    try:
        found = json.loads(body[: MAX_BODY + 1])
    except (ValueError, RecursionError):
        return None
    values = [found.get(name) for name in names] if isinstance(found, dict) else [None]
    return values if all(isinstance(value, str) and _is_text(value) for value in values) else None


def _is_text(value):
    """False for half a surrogate pair, which JSON can spell."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


class Tokens:
    """Tokens that /auth gave. One is good for the endpoint that logged in and for no other, so hearing it is not enough.

    `secret_of(pk, dn)` gives a device's secret or None."""

    def __init__(self, secret_of, clock=time.monotonic):
        self._secret_of = secret_of
        self._clock = clock
        self._given = OrderedDict()  # endpoint: (token, (pk, dn), secret, end)

    def login(self, body, endpoint):
        """A new token, or None if the signature is wrong. It replaces the endpoint's former one."""
        values = _texts(body, ("productKey", "deviceName", "clientId", "sign"))
        if values is None:
            return None
        pk, dn, client, sign = values
        secret = self._secret_of(pk, dn)
        text = f"clientId{client}deviceName{dn}productKey{pk}"
        right = hmac.new((secret or secrets.token_hex()).encode(), text.encode(), hashlib.md5).hexdigest()
        if secret is None or not hmac.compare_digest(right.encode(), sign.lower().encode()):
            return None
        token = secrets.token_hex(16)
        self._given[endpoint] = token, (pk, dn), secret, self._clock() + LIFETIME_S
        self._given.move_to_end(endpoint)
        if len(self._given) > MAX_TOKENS:
            self._given.popitem(last=False)
        return token

    def device(self, token, endpoint):
        """(pk, dn) of the endpoint that the token was given to, or None."""
        given, device, secret, end = self._given.get(endpoint, (None, None, None, 0))
        known = given is not None and given == token and self._clock() < end
        return device if known and self._secret_of(*device) == secret else None  # it may have been removed since


class Registrar:
    """Gives a device its secret for its product's. The device must be known and must never have been heard of."""

    def __init__(self, folder):
        self._folder = folder
        self._randoms = OrderedDict()

    def register(self, form):
        """Linkkit's reply, as a dict, to the form's fields, a dict of texts."""
        pk, dn, chance = (form.get(name, "") for name in ("productKey", "deviceName", "random"))
        if form.get("signMethod") != "hmacsha256" or not chance:
            return {"code": 460, "message": "request parameter error"}
        store = Store(self._folder)  # of this thread
        try:
            return self._answer(store, pk, dn, chance, form.get("sign", ""))
        finally:
            store.close()

    def _answer(self, store, pk, dn, chance, sign):
        try:
            secret = store.product_secret(pk)
        except ToolError:
            secret = None
        text = f"deviceName{dn}productKey{pk}random{chance}"
        right = hmac.new((secret or secrets.token_hex()).encode(), text.encode(), hashlib.sha256).hexdigest()
        if secret is None or not hmac.compare_digest(right.encode(), sign.lower().encode()):
            return {"code": 6289, "message": "signature is wrong"}
        if (pk, dn, chance) in self._randoms:
            return {"code": 6289, "message": "random was used before"}
        self._randoms[pk, dn, chance] = True
        if len(self._randoms) > RANDOMS:
            self._randoms.popitem(last=False)
        try:
            device = store.device(pk, dn)
        except ToolError:
            return {"code": 6100, "message": "no such device"}
        if device.version is not None:
            return {"code": 6292, "message": "device is activated"}
        data = {"productKey": pk, "deviceName": dn, "deviceSecret": device.secret}
        return {"code": 200, "data": data, "message": "success"}
