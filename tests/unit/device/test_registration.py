"""Registration: one question over HTTPS, and only a whole answer to it is read."""

# SPDX-License-Identifier: MIT
import sys

from ota import registration
from ota.transport import net

from bench import Bench
from fakes import Board, clock, code_of
from wires import no_feed

REPLY = b'{"code":200}'
E_REGISTER = 1046


class Response:
    """An answer of urequests."""

    def __init__(self, status, headers, body):
        self.status_code = status
        self.headers = headers
        self.raw = self
        self._body = body
        self.closed = 0

    def readinto(self, buf):
        n = min(len(buf), 5, len(self._body))
        buf[:n] = self._body[:n]
        self._body = self._body[n:]
        return n

    def close(self):
        self.closed += 1


def asked(status, *lines, body=REPLY):
    """What `_post` gave, or its code; the URLs that were asked for; the response."""
    sys.modules["usocket"] = net._SocketModule(1000, no_feed)
    urls = []
    made = []

    class Requests:
        @staticmethod
        def request(method, url, data, headers, parse_headers):
            urls.append((method, url))
            found = {}
            for line in lines:
                parse_headers(line + b"\r\n", found)
            made.append(Response(status, found, body))
            return made[0]

    sys.modules["urequests"] = Requests
    registration.time = clock
    one = registration.Registration(("pk", "dn", "ps"), ("host", 8443), None, None)
    found = []
    code = code_of(lambda: found.append(one._post()))
    del sys.modules["urequests"]
    assert made[0].closed == 1
    return found[0] if found else code, urls


def test_reply_is_read_as_long_as_it_says_it_is():
    whole, urls = asked(200, b"content-length: 12", body=REPLY + b"more")
    assert whole == REPLY and urls == [("POST", "https://host:8443/auth/register/device")]
    assert asked(200)[0] == REPLY


def test_redirect_is_not_followed():
    for status in (301, 302, 307):
        code, urls = asked(status, b"location: http://host/auth")
        assert code == E_REGISTER and len(urls) == 1


def test_length_that_is_none_or_too_long_is_refused():
    for length in (b"x", b"-1", b"0", b"513", b""):
        assert asked(200, b"content-length: " + length)[0] == E_REGISTER, length


def test_lack_of_memory_is_tried_again_later():
    tries = []

    def short():
        tries.append(clock.now)
        raise MemoryError("memory allocation failed, allocating 512 bytes")

    registration.time = clock
    one = registration.Registration(("pk", "dn", "ps"), ("host", 8443), Board(), None)
    one._post = short
    one.poll()
    one.poll()
    assert len(tries) == 1
    clock.now += 20000
    one.poll()
    assert len(tries) == 2


def test_what_the_secret_leads_to_is_tried_again_later_too():
    secrets = []

    def short(secret):
        secrets.append(secret)
        raise MemoryError

    registration.time = clock
    one = registration.Registration(("pk", "dn", "ps"), ("host", 8443), Board(), short)
    kept = registration.settings.secret
    registration.settings.secret = lambda board, pk, dn: "ds"
    try:
        one.poll()
        one.poll()
        clock.now += 20000
        one.poll()
    finally:
        registration.settings.secret = kept
    assert secrets == ["ds", "ds"]


def test_channel_and_its_reports_come_together_or_not_at_all():
    from ota import service

    def short(transport):
        raise MemoryError

    bench = Bench()
    del bench.service._open_transport
    kept, service.Report = service.Report, short
    try:
        bench.service._registered("ds")
        assert False, "there was no memory for it"
    except MemoryError:
        pass
    finally:
        service.Report = kept
    assert bench.service._transport is bench.transport


def test_registration_stands_in_for_a_transport():
    from ota.transport.mqtt import Mqtt

    for name in dir(Mqtt):
        assert name.startswith("_") or hasattr(registration.Registration, name), name
