"""Linkkit's login over CoAP (SPEC.md section 4): /auth gives a token, which every later request carries in an option."""

# SPDX-License-Identifier: MIT
from micropython import const

GET = const(1)
POST = const(2)
CONTENT = const(69)  # 2.05
JSON = const(50)
OCTETS = const(42)
URI_PATH = const(11)
CONTENT_FORMAT = const(12)
ACCEPT = const(17)

_UNAUTHORIZED = const(129)  # 4.01
_BAD_OPTION = const(130)  # 4.02
_SERVER_ERROR = const(160)  # 5.00
_TOKEN_OPTION = const(2088)  # as Linkkit documents it
_TOKEN_OPTION_SDK = const(61)  # as its SDK writes it
_TOKEN_MAX = const(192)
_ANSWER_MAX = const(384)


class Session:
    """identity: (pk, dn, ds). token: bytes while the server knows us."""

    def __init__(self, identity):
        self._pk, self._dn, self._ds = identity
        self._option = _TOKEN_OPTION
        self.token = None
        self._proven = True

    def login(self, link):
        """Sends the request for a token."""
        import json

        from ota import forget, md5

        client = "%s.%s" % (self._pk, self._dn)
        text = "clientId%sdeviceName%sproductKey%s" % (client, self._dn, self._pk)
        body = {"productKey": self._pk, "deviceName": self._dn, "clientId": client, "sign": md5.hmac(self._ds, text)}
        forget("md5")
        options = (URI_PATH, b"auth"), (CONTENT_FORMAT, JSON), (ACCEPT, JSON)
        link.request(POST, options, json.dumps(body).encode())

    def accept(self, link):
        """Reads the answer to login(); returns whether there is a token now."""
        import json

        self.token = None
        payload = link.payload()
        if link.message.code == CONTENT and len(payload) <= _ANSWER_MAX:
            try:
                found = json.loads(bytes(payload))
            except ValueError:
                return False
            token = found.get("token") if type(found) is dict else None
            if type(token) is str and 0 < len(token) <= _TOKEN_MAX:
                self.token = token.encode()
        return self.token is not None

    def signed(self, options):
        """The options of a request with the token, the highest of them."""
        return options + ((self._option, self.token),)

    def refused(self, code):
        """True if the answer says that the token is none (any more): log in again. When tokens are refused
        twice in a row, the next goes in the other option."""
        if code not in (_UNAUTHORIZED, _BAD_OPTION, _SERVER_ERROR):
            self._proven = True
            return False
        if not self._proven and code != _SERVER_ERROR:
            self._option = _TOKEN_OPTION_SDK if self._option == _TOKEN_OPTION else _TOKEN_OPTION
        self._proven = False
        self.token = None
        return True

    def path(self, name):
        """The option with the path of one of the device's resources."""
        return URI_PATH, (b"topic", b"ota", b"device", name, self._pk.encode(), self._dn.encode())
