"""HTTP and HTTPS download through urequests (RFC 9110): one artifact, readable from any offset.

A Source is opened at an offset, read into the caller's buffers, and closed. It refuses every answer that is not
exactly the bytes asked for. The socket underneath is ota/transport/net.py's.
"""

# SPDX-License-Identifier: MIT
from micropython import const

_ECONNRESET = const(104)
_REDIRECTS = const(4)
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
        self._ahead = 0  # bytes to pass over

    def open(self, offset):
        """Requests the bytes from offset on. Returns False if the artifact on the server is not the one begun:
        the caller starts again from 0. Redirects are followed, a few of them, but none from https to http."""
        import urequests

        from ota.transport import net

        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = "bytes=%d-" % offset
            if self._etag and not self._etag.startswith(b"W/"):
                headers["If-Range"] = self._etag
        self._ahead = 0
        url = self._url
        try:
            for _ in range(_REDIRECTS + 1):
                headers["Host"] = url.split("/", 3)[2]
                self._response = net.request(urequests.get, url, headers=headers)
                to = self._response.headers.get(b"location")
                if not to or not 300 <= self._response.status_code < 400:
                    return self._answered(offset)
                self.close()
                url = _resolve(url, to.decode())
        except ValueError:
            pass  # not HTTP, or a redirect to another scheme, also to https where there is no TLS
        raise OSError(_E_STATUS)

    def _answered(self, offset):
        status, headers = self._response.status_code, self._response.headers
        if status == 416 and offset:
            return False
        if status not in (200, 206) or (status == 206 and not offset) or b"transfer-encoding" in headers:
            raise OSError(_E_STATUS)
        etag = headers.get(b"etag")
        if offset and self._etag and etag != self._etag:
            return False
        self._etag = etag
        if status == 206:
            if headers.get(b"content-range") != b"bytes %d-%d/%d" % (offset, self._size - 1, self._size):
                raise OSError(_E_RANGE)
        else:
            if headers.get(b"content-length", b"%d" % self._size) != b"%d" % self._size:
                raise OSError(_E_LENGTH)
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
        if self._response:
            response, self._response = self._response, None
            try:
                response.close()
            except OSError:
                pass  # it may be lost already


def _resolve(url, to):
    """The absolute URL of a reference (RFC 3986 section 5.2, without dot segments)."""
    path = url.split("?")[0]
    root = "/".join(path.split("/", 3)[:3])
    if to.startswith("//"):
        to = url[: url.find("/")] + to
    elif to.startswith("/"):
        to = root + to
    elif to.startswith("?"):
        to = path + to
    elif "://" not in to.split("?")[0]:
        to = root + path[len(root) : path.rfind("/")] + "/" + to
    scheme = to.split(":")[0].lower()
    if url.startswith("https:") and scheme != "https":
        raise OSError(_E_URL)
    return scheme + to[len(scheme) :]
