"""CoAP download, plain or over DTLS, block by block (RFC 7959): one artifact, readable from any offset.

A Source as in http.py, but nothing blocks: readinto() returns None until its bytes have come. A URL below /topic/ is
Linkkit's: its blocks are asked for by POST after a login. Every block must carry the first one's entity tag.
"""

# SPDX-License-Identifier: MIT
from micropython import const

from ota.transport import coap_link
from ota.transport.coap_session import ACCEPT, CONTENT, CONTENT_FORMAT, GET, JSON, OCTETS, POST, URI_PATH, Session

_URI_HOST = const(3)
_URI_QUERY = const(15)
_BLOCK2 = const(23)
_SIZE2 = const(28)
_MORE = const(8)
_NUMBERS = const(1 << 20)
_SZX = const(6)  # blocks of 1024 bytes
_LOGINS = const(3)
_OURS = const(64)  # bytes of a request beside what the URL holds
_LOGIN = const(512)  # or of a login, and of a request with its token
_PATIENCE = const(2)
_WAIT_MS = const(50)
_E_URL = const(1026)
_E_STATUS = const(1040)
_E_RANGE = const(1041)
_E_LENGTH = const(1042)
_ETIMEDOUT = const(110)
_ECONNRESET = const(104)


class Source:
    """url: coap or coaps. size: artifact bytes. identity: (pk, dn, ds). ca: the CA certificate for coaps."""

    def __init__(self, url, size, identity, ca):
        secure = url.startswith("coaps:")
        self._host, port, self._path, self._query = _split(url)
        self._session = Session(identity) if self._path[0] == b"topic" else None
        request = len(url) + (_OURS if not self._session else _LOGIN)
        self._link = coap_link.Link((self._host, port or (5684 if secure else 5683)), secure, ca, request)
        self._size = size
        self._szx = _SZX
        self._etag = None
        self._changed = False

    def open(self, offset):
        """Begins at offset. Returns False if the artifact on the server is not the one begun: the caller starts
        again from 0."""
        if self._changed and offset:
            return False
        if not offset:
            self._etag = None
            self._changed = False
        self._link.open()
        self._offset = offset  # of the next byte wanted
        self._last = False
        self._filled = self._logins = self._patience = 0
        return True

    def readinto(self, buf):
        """Fills buf and returns its length, fewer only at the body's end. None if the bytes have not come yet: call again
        with the same buf. It ends at a multiple of 1024 or with the artifact: nothing of a block is kept."""
        while self._filled < len(buf) and not self._last:
            start, end = self._block()
            if start == end:
                return None
            filled = self._filled + end - start
            if filled > len(buf):
                raise OSError(_E_RANGE)
            buf[self._filled : filled] = self._link.view[start:end]
            self._offset += end - start
            self._filled = filled
        n, self._filled = self._filled, 0
        return n

    def ended(self):
        """True if the server has nothing more; call it after the last byte that was announced."""
        return self._last

    def close(self):
        self._link.close()

    def _block(self):
        """Asks for the next block, or takes it. Returns from where to where its bytes stand in the link's view."""
        link = self._link
        if not link.busy:
            self._request()
        try:
            event = link.poll(_WAIT_MS)
        except OSError as e:
            if e.errno != _ETIMEDOUT or not self._patience:
                raise
            self._patience -= 1  # it did answer: a new request costs less than a new handshake
            self._request()
            return 0, 0
        if event == coap_link.CUT:
            raise OSError(_E_RANGE)
        if event != coap_link.RESPONSE:
            return 0, 0
        if self._session and not self._session.token:
            if not self._session.accept(link):
                raise OSError(_E_STATUS)
            return 0, 0
        if self._session and self._session.refused(link.message.code):
            return 0, 0
        self._patience = _PATIENCE
        return self._check()

    def _request(self):
        if self._session and not self._session.token:
            self._login()
        else:
            self._ask()

    def _login(self):
        self._logins += 1
        if self._logins > _LOGINS:
            raise OSError(_E_STATUS)
        self._session.login(self._link)

    def _ask(self):
        link = self._link
        request = link.begin(POST if self._session else GET)
        if not _is_address(self._host):
            request.option(_URI_HOST, self._host.encode())
        request.options(URI_PATH, self._path)
        if self._session:
            request.uint(CONTENT_FORMAT, JSON)
        request.options(_URI_QUERY, self._query)
        if self._session:
            request.uint(ACCEPT, OCTETS)
        number = self._offset >> self._szx + 4
        if number >= _NUMBERS:
            raise OSError(_E_RANGE)  # blocks so small do not reach there
        request.uint(_BLOCK2, number << 4 | self._szx)
        if not self._etag:
            request.uint(_SIZE2, 0)
        if self._session:
            self._session.sign(request)
        link.send()

    def _check(self):
        """Refuses an answer that is not exactly the block asked for, of the artifact begun."""
        message = self._link.message
        if message.code != CONTENT:
            raise OSError(_E_STATUS)
        self._compare_tag(message)
        if message.size2 >= 0 and message.size2 != self._size:
            raise OSError(_E_LENGTH)
        szx = message.block2 & 7 if message.block2 >= 0 else self._szx
        start = message.block2 >> 4 << szx + 4 if message.block2 >= 0 else 0
        length = message.end - message.payload
        more = message.block2 >= 0 and message.block2 & _MORE
        wanted = self._offset >> self._szx + 4 << self._szx + 4
        if szx > self._szx or start != wanted or (message.block2 >= 0 and length > 16 << szx) or (more and length != 16 << szx):
            raise OSError(_E_RANGE)
        if start + length > self._size or (not more and start + length != self._size):
            raise OSError(_E_LENGTH)
        self._szx = szx
        self._last = not more
        # A block may begin before the offset, or, made smaller by the server, end before it.
        return min(message.payload + self._offset - start, message.end), message.end

    def _compare_tag(self, message):
        """Notes the first entity tag; another one ends the connection, and open() then tells that all is new."""
        tag = bytes(self._link.view[message.etag : message.etag + message.etag_length])
        if self._etag is None:
            self._etag = tag
        elif tag != self._etag:
            self._changed = True
            raise OSError(_ECONNRESET)


def _split(url):
    """(host, port or 0, path parts, query parts) of a coap or coaps URL; OSError for any other."""
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
    return host, int(port or 0), _parts(path, "/"), _parts(query, "&")


def _halves(text, separator):
    """What stands before the separator and behind it; the ESP8266's str has no partition()."""
    at = text.find(separator)
    return (text, "") if at < 0 else (text[:at], text[at + len(separator) :])


def _parts(text, separator):
    return [_decoded(part) for part in text.split(separator)] if text else []


def _decoded(part):
    """A part's bytes, without percent encoding."""
    from binascii import unhexlify

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
