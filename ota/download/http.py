"""HTTP and HTTPS download through urequests (RFC 9110): one artifact, readable from any offset.

A Source is opened at an offset, read into the caller's buffers, and closed. It refuses every answer that is not
exactly the bytes asked for. The socket underneath is ota/transport/net.py's.
"""

# SPDX-License-Identifier: MIT
from micropython import const

_ECONNRESET = const(104)
_E_URL = const(1026)
_E_STATUS = const(1040)
_E_RANGE = const(1041)
_E_LENGTH = const(1042)


class Source:
    """url: http or https. size: artifact bytes. The entity tag of the first answer binds all later ones to it."""

    def __init__(self, url, size):
        self._url = url
        self._size = size
        self._etag = None
        self._response = None
        self._headers = None
        self._ahead = 0  # bytes to pass over

    def open(self, offset):
        """Requests the bytes from offset on. Returns False if the artifact on the server is not the one begun:
        the caller starts again from 0."""
        import urequests

        from ota.transport import net

        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = "bytes=%d-" % offset
            if self._etag and not self._etag.startswith(b"W/"):
                headers["If-Range"] = self._etag
        self._headers = {}
        self._ahead = 0
        try:
            self._response = net.request(urequests.get, self._url, headers=headers, parse_headers=self._header)
        except (ValueError, IndexError, TypeError, NotImplementedError, ImportError):
            # not HTTP, a chunked body, too many redirects, or a redirect to another scheme, also to https where there is no TLS
            raise OSError(_E_STATUS)
        if self._url.startswith("https:") and not self._response.raw.secure:
            raise OSError(_E_URL)  # redirected to plain http
        return self._answered(offset)

    def _answered(self, offset):
        status = self._response.status_code
        if status == 416 and offset:
            return False
        if status not in (200, 206) or (status == 206 and not offset):
            raise OSError(_E_STATUS)
        etag = self._headers.get(b"etag")
        if offset and self._etag and etag != self._etag:
            return False
        self._etag = etag
        if status == 206:
            self._check_range(offset)
        else:
            self._check_length()
            self._ahead = offset  # the server ignored the Range
        return True

    def readinto(self, buf, n):
        """Puts the next n bytes at the start of buf, and returns n; 0 if they were some of those that are in flash already."""
        ahead = self._ahead
        if ahead:
            n = min(ahead, len(buf))
        if self._response.raw.readinto(buf if n == len(buf) else memoryview(buf)[:n]) != n:
            raise OSError(_ECONNRESET)
        self._ahead -= min(ahead, n)
        return 0 if ahead else n

    def ended(self):
        """True if the body holds nothing more; call it after the last byte that was announced."""
        return not self._response.raw.readinto(bytearray(1))

    def close(self):
        self._headers = None
        if self._response:
            response, self._response = self._response, None
            try:
                response.close()
            except OSError:
                pass  # it was lost already

    def _header(self, line, headers):
        colon = line.find(b":")
        name = line[:colon].lower()
        if name in (b"content-length", b"content-range", b"etag"):
            self._headers[name] = line[colon + 1 :].strip()

    def _check_range(self, offset):
        if self._headers.get(b"content-range") != b"bytes %d-%d/%d" % (offset, self._size - 1, self._size):
            raise OSError(_E_RANGE)

    def _check_length(self):
        length = self._headers.get(b"content-length")
        if length is not None and length != b"%d" % self._size:
            raise OSError(_E_LENGTH)
