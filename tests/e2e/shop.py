"""An HTTP or HTTPS server whose answers the tests write: honest, slow, or hostile.

An answer is a function of one Visit. The functions below are the answers; routes maps paths to (answer, body).
"""
# SPDX-License-Identifier: MIT

import contextlib
import functools
import http.server
import re
import ssl
import threading

_CHUNK = 2048


class Visit:
    """One request. range_from: first byte asked for, or None. sent: bytes of the body that went out."""

    def __init__(self, handler, body, shop):
        self.body = body
        self.path = handler.path
        self.headers = handler.headers
        self.sent = 0
        self.shop = shop
        match = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        self.range_from = int(match[1]) if match else None
        self._out = handler.wfile

    @property
    def etag(self):
        return f'"{hash(self.body) & 0xFFFFFFFF:08x}"'

    def head(self, status, **headers):
        """The status line and headers; Content_Length becomes Content-Length."""
        lines = [f"HTTP/1.1 {status} x"] + [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.raw("\r\n".join([*lines, "", ""]).encode())

    def raw(self, data):
        self._out.write(data)
        self._out.flush()

    def send(self, data):
        """A part of the body."""
        for i in range(0, len(data), _CHUNK):
            part = data[i : i + _CHUNK]
            self.raw(part)
            self.sent += len(part)

    def answer(self, body=None, start=0, total=None, etag=None):
        """The head of an honest 200 or 206."""
        body = self.body if body is None else body
        total = total or len(body)
        if start:
            self.head(206, Content_Length=total - start, Content_Range=f"bytes {start}-{total - 1}/{total}", ETag=etag or self.etag)
        else:
            self.head(200, Content_Length=total, ETag=etag or self.etag)


class Shop:
    """certificates: mpota.pki.Certificates, or None for plain HTTP."""

    def __init__(self, certificates=None, host="127.0.0.1"):
        self.routes = {}
        self.visits = []
        self.closing = threading.Event()
        self._server = http.server.ThreadingHTTPServer((host, 0), functools.partial(_Handler, self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._server.handle_error = lambda *_: None  # boards hang up, and some of our answers are meant to
        self._scheme = "http"
        if certificates:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates.server, certificates.server_key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
            self._scheme = "https"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def offer(self, body, answer=None):
        """Gives `body` out at a fresh URL, by `answer`; returns the URL."""
        path = f"/{len(self.routes)}.bin"
        self.routes[path] = (answer or honest, body)
        return self.base + path

    @property
    def base(self):
        host, port = self._server.server_address
        return f"{self._scheme}://{host}:{port}"

    def visits_to(self, url):
        return [visit for visit in self.visits if self.base + visit.path == url]

    def stop(self):
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = 30

    def __init__(self, shop, *args):
        self._shop = shop
        super().__init__(*args)

    def do_GET(self):
        self.close_connection = True
        answer, body = self._shop.routes[self.path]
        visit = Visit(self, body, self._shop)
        self._shop.visits.append(visit)
        answer(visit)

    def finish(self):
        with contextlib.suppress(OSError, ValueError):
            super().finish()
        with contextlib.suppress(OSError, ValueError):
            self.connection.unwrap() if isinstance(self.connection, ssl.SSLSocket) else None

    def log_message(self, *_):
        """Silent: a test asserts on visits."""


def honest(visit):
    start = visit.range_from or 0
    visit.answer(start=start)
    visit.send(visit.body[start:])


def status(code):
    def answer(visit):
        text = b"<html>no</html>"
        visit.head(code, Content_Length=len(text))
        visit.send(text)

    return answer


def page(length=None):
    """An HTML page instead of the artifact; length: what Content-Length says, None for the truth."""

    def answer(visit):
        text = b"<html><body>Please log in to this network.</body></html>"
        visit.head(200, Content_Type="text/html", Content_Length=length or len(text))
        visit.send(text)

    return answer


def page_padded(visit):
    """An HTML page of just the artifact's size."""
    visit.answer()
    visit.send(b"<html>".ljust(len(visit.body), b" "))


def no_length(change):
    """Without Content-Length: the body, made shorter (negative) or longer by `change` bytes, ends with the connection."""

    def answer(visit):
        start = visit.range_from or 0
        if start:
            return visit.head(404)
        visit.head(200)
        visit.send(visit.body[:change] if change < 0 else visit.body + bytes(change))

    return answer


def says_length(change):
    """Content-Length is wrong by `change` bytes, and so is the body."""

    def answer(visit):
        body = visit.body[:change] if change < 0 else visit.body + bytes(change)
        visit.head(200, Content_Length=len(body))
        visit.send(body)

    return answer


def hangs_up(after, times=1000):
    """Ends the connection after this many bytes of the body, the first `times` visits; is honest then."""

    def answer(visit):
        if len([v for v in visit.shop.visits if v.path == visit.path]) > times:
            return honest(visit)
        start = visit.range_from or 0
        visit.answer(start=start)
        visit.send(visit.body[start : start + after])

    return answer


def says_nothing(visit):
    visit.shop.closing.wait(120)


def stalls(after):
    def answer(visit):
        start = visit.range_from or 0
        visit.answer(start=start)
        visit.send(visit.body[start : start + after])
        visit.shop.closing.wait(120)

    return answer


def hangs_up_at_once(visit):
    """Not even a status line."""


def slowly(released):
    """Drips until `released` is set, then sends the rest."""

    def answer(visit):
        start = visit.range_from or 0
        visit.answer(start=start)
        for i in range(start, len(visit.body), 256):
            released.wait(0.02)
            visit.send(visit.body[i : i + 256])

    return answer


def interrupted(then, after=20000):
    """The first visit is cut short after `after` bytes; `then` answers the others."""

    def answer(visit):
        if visit.range_from is None:
            return hangs_up(after)(visit)
        return then(visit)

    return answer


def ignores_range(visit):
    visit.answer()
    visit.send(visit.body)


def content_range(pattern):
    """206 with a Content-Range of the test's own; {start}, {last} and {size} are filled in."""

    def answer(visit):
        start, size = visit.range_from, len(visit.body)
        text = pattern.format(start=start, last=size - 1, size=size, less=start - 1, more=size + 1)
        visit.head(206, Content_Length=size - start, Content_Range=text, ETag=visit.etag)
        visit.send(visit.body[start:])

    return answer


def redirect(url):
    def answer(visit):
        visit.head(302, Location=url, Content_Length=0)

    return answer


def loops(visit):
    visit.head(302, Location=visit.shop.base + visit.path, Content_Length=0)


def chunked(name="Transfer-Encoding"):
    def answer(visit):
        visit.raw(b"HTTP/1.1 200 OK\r\n" + name.encode() + b": chunked\r\n\r\n%x\r\n" % len(visit.body))
        visit.send(visit.body + b"\r\n0\r\n\r\n")

    return answer


def endless(piece, first=b"HTTP/1.1 200 OK\r\n"):
    """A head that never ends: `first`, then `piece` again and again."""

    def answer(visit):
        visit.raw(first)
        while not visit.shop.closing.is_set():
            visit.raw(piece * 64)

    return answer


def dribbles(visit):
    """A head at one byte every half second: each byte alone is in time."""
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"z" * 200:
        visit.raw(bytes((byte,)))
        if visit.shop.closing.wait(0.5):
            return


def not_http(data):
    def answer(visit):
        visit.raw(data)

    return answer
