"""CoAP download, plain or over DTLS, block by block (RFC 7959): one artifact, readable from any offset.

A Source as in http.py, but nothing blocks: readinto() returns None until a block has come. A URL below /topic/ is
Linkkit's: its blocks are asked for by POST after a login. Every block must carry the first one's entity tag.
"""

# SPDX-License-Identifier: MIT
from micropython import const

from ota.transport import coap_link
from ota.transport.coap_session import CONTENT, GET, POST, Session

_BLOCK2 = const(23)
_SIZE2 = const(28)
_MORE = const(8)
_NUMBERS = const(1 << 20)
_SZX = const(6)  # blocks of 1024 bytes
_LOGINS = const(3)
_PATIENCE = const(2)
_WAIT_MS = const(50)
_E_STATUS = const(1040)
_E_RANGE = const(1041)
_E_LENGTH = const(1042)
_ETIMEDOUT = const(110)
_ECONNRESET = const(104)


class Source:
    """url: coap or coaps. size: artifact bytes. identity: (pk, dn, ds). ca: the CA certificate for coaps. buf: the link's, and
    readinto()'s. feed: the link's."""

    def __init__(self, url, size, identity, ca, buf, feed):
        from ota import forget
        from ota.download import coap_url

        secure, server, self._options, linkkit = coap_url.read(url)
        forget("download.coap_url")
        self._session = Session(identity) if linkkit else None
        self._link = coap_link.Link(server, secure, ca, buf, feed)
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
        self._logins = self._patience = 0
        return True

    def readinto(self, buf, n):
        """Puts the next bytes, at most n of them, at the start of buf, and returns how many: those of one block. None if they have not
        come yet."""
        block = self._block()
        if not block:
            return None
        if len(block) > n:
            raise OSError(_E_RANGE)
        self._link.view[: len(block)] = block  # buf is the link's
        self._offset += len(block)
        return len(block)

    def ended(self):
        """True if the server has nothing more; call it after the last byte that was announced."""
        return self._last

    def close(self):
        self._link.close()

    def _block(self):
        """Asks for the next block, or takes it: those of its bytes that are wanted, as they stand in the link's buffer."""
        link = self._link
        if not link.busy:
            self._request()
        try:
            event = link.poll(_WAIT_MS)
        except OSError as e:
            if e.errno != _ETIMEDOUT or not self._patience:
                raise
            self._patience -= 1  # it did answer: a new request costs less than a new handshake
            return self._request()
        if event == coap_link.CUT:
            raise OSError(_E_RANGE)
        if event != coap_link.RESPONSE:
            return None
        session = self._session
        if session and not session.token:
            if not session.accept(link):
                raise OSError(_E_STATUS)
            return None
        if session and session.refused(link.message.code):
            return None
        block = self._check()
        self._logins, self._patience = 0, _PATIENCE
        return block

    def _request(self):
        if self._session and not self._session.token:
            self._logins += 1
            if self._logins > _LOGINS:
                raise OSError(_E_STATUS)
            return self._session.login(self._link)
        number = self._offset >> self._szx + 4
        if number >= _NUMBERS:
            raise OSError(_E_RANGE)  # blocks so small do not reach there
        options = self._options + ((_BLOCK2, number << 4 | self._szx),)
        if not self._etag:
            options += ((_SIZE2, 0),)
        if self._session:
            self._link.request(POST, self._session.signed(options))
        else:
            self._link.request(GET, options)

    def _check(self):
        """Refuses an answer that is not exactly the block asked for, of the artifact begun."""
        message = self._link.message
        if message.code != CONTENT:
            raise OSError(_E_STATUS)
        self._compare_tag(message.etag)
        if message.size2 >= 0 and message.size2 != self._size:
            raise OSError(_E_LENGTH)
        block2, payload = message.block2, self._link.payload()
        szx = block2 & 7 if block2 >= 0 else self._szx
        start = block2 >> 4 << szx + 4 if block2 >= 0 else 0
        length = len(payload)
        more = block2 >= 0 and block2 & _MORE
        wanted = self._offset >> self._szx + 4 << self._szx + 4
        if szx > self._szx or start != wanted or (block2 >= 0 and length > 16 << szx) or (more and length != 16 << szx):
            raise OSError(_E_RANGE)
        if start + length > self._size or (not more and start + length != self._size):
            raise OSError(_E_LENGTH)
        self._szx = szx
        self._last = not more
        # A block may begin before the offset, or, made smaller by the server, end before it.
        return payload[self._offset - start :]

    def _compare_tag(self, tag):
        """Notes the first entity tag; another one ends the connection, and open() then tells that all is new."""
        if self._etag is None:
            self._etag = tag
        elif tag != self._etag:
            self._changed = True
            raise OSError(_ECONNRESET)
