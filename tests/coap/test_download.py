"""The CoAP download against a server that does everything a server must not do (RFC 7252, RFC 7959)."""
# SPDX-License-Identifier: MIT

import hashlib
import itertools
import json

import pytest
from aiocoap.numbers import codes

from coap.peer import ACK, CON, IDENTITY, NON, RST, Peer, empty, fetch, raw, token_of

DATA = bytes(i * 7 + i // 251 & 255 for i in range(5000))
E_STATUS, E_RANGE, E_LENGTH, TIMED_OUT, E_URL = 1040, 1041, 1042, 110, 1026
mids = itertools.count(5000)


def part(data, request, szx=6, shift=0, **options):
    """The response with the block that a request asks for, no larger than szx allows."""
    number, _, wanted = request.opt.block2
    start = (number << wanted + 4) + shift
    szx = min(szx, wanted)
    end = start + (16 << szx)
    options = {"block2": (start >> szx + 4, end < len(data), szx), "size2": len(data), "etag": b"\x01"} | options
    options = {name: value for name, value in options.items() if value is not None}
    return raw(codes.CONTENT, request, payload=data[start:end], **options)


def served(answer, size=len(DATA), path="/artifact", **options):
    with Peer(answer) as peer:
        options = {"identity": IDENTITY} | options
        return fetch(url=f"coap://127.0.0.1:{peer.port}{path}", size=size, **options), peer.requests


def fetches(answer, data=DATA, **options):
    found, requests = served(answer, len(data), **options)
    assert found.get("sha256") == hashlib.sha256(data).hexdigest(), found
    return found, requests


def refuses(answer, code, size=len(DATA), **options):
    found, requests = served(answer, size, **options)
    assert found.get("error") == code, found
    return found, requests


def test_artifact_comes_in_blocks_of_1024_with_one_request_each():
    found, requests = fetches(lambda request: [part(DATA, request)])
    assert [request.opt.block2[:3:2] for request in requests] == [(n, 6) for n in range(5)]
    assert all(request.code == codes.GET and request.mtype == CON for request in requests)
    assert (found["sent"], found["received"]) == (5, 5)


@pytest.mark.parametrize("size", [1, 1023, 1024, 1025, 2048])
def test_artifact_of_any_length_is_complete(size):
    fetches(lambda request: [part(DATA[:size], request)], DATA[:size])


@pytest.mark.parametrize("szx", range(6))
def test_server_may_ask_for_smaller_blocks(szx):
    data = DATA[:1500]
    _, requests = fetches(lambda request: [part(data, request, szx)], data)
    assert len(requests) == -(-1500 // (16 << szx))


def test_server_may_ask_for_smaller_blocks_in_the_middle():
    fetches(lambda request: [part(DATA, request, 6 if request.opt.block2[0] < 2 else 4)])


def test_artifact_in_one_answer_without_block_option_is_accepted():
    fetches(lambda request: [raw(codes.CONTENT, request, payload=DATA[:700])], DATA[:700])


def test_query_and_percent_encoding_become_options():
    _, requests = fetches(lambda request: [part(DATA, request)], path="/a%20b/c?x=1&y=%26")
    assert requests[0].opt.uri_path == ("a b", "c") and requests[0].opt.uri_query == ("x=1", "y=&")


@pytest.mark.parametrize("offset", [1024, 4096, 100, 4999])
def test_fetch_resumes_at_the_block_that_holds_the_offset(offset):
    _, requests = served(lambda request: [part(DATA, request)], offset=offset)
    assert requests[0].opt.block2[0] == offset // 1024
    assert len(requests) == 5 - offset // 1024


def test_lost_requests_are_repeated_with_growing_pauses_and_the_same_message_id():
    count = itertools.count()
    _, requests = fetches(lambda request: [part(DATA, request)] if next(count) % 3 == 2 else [], ack_ms=20)
    assert len({request.mid for request in requests}) == 5 and len(requests) == 15
    assert len({request.token for request in requests}) == 5


def test_silent_server_is_given_up_after_four_repetitions():
    found, requests = refuses(lambda request: [], TIMED_OUT, ack_ms=10, retries=0)
    assert len(requests) == 5 and len({request.mid for request in requests}) == 1


def test_separate_response_is_acknowledged():
    def answer(request):
        if request.mtype == CON:
            return [empty(ACK, request.mid), _separate(request, CON)]

    _, requests = fetches(answer)
    assert len([message for message in requests if message.mtype == ACK]) == 5


def _separate(request, mtype):
    number, _, _ = request.opt.block2
    start = number << 10
    return raw(codes.CONTENT, request, mtype, next(mids), payload=DATA[start : start + 1024],
               block2=(number, start + 1024 < len(DATA), 6), etag=b"\x01")  # fmt: skip


def test_separate_response_may_be_unconfirmed_and_overtake_its_acknowledgement():
    fetches(lambda request: [_separate(request, NON), empty(ACK, request.mid)])


def test_response_that_comes_twice_is_acknowledged_twice_and_used_once():
    def answer(request):
        if request.mtype == CON:
            response = _separate(request, CON)
            return [empty(ACK, request.mid), response, response, response]

    found, requests = fetches(answer)
    acknowledged = [message.mid for message in requests if message.mtype == ACK]
    assert len(set(acknowledged)) == 5 and len(acknowledged) > 5
    assert not [message for message in requests if message.mtype == RST]


def test_late_answers_to_earlier_requests_change_nothing():
    old = []

    def answer(request):
        old.append(part(DATA, request))
        return [*old[-3:-1], old[-1], *old[:2]]

    fetches(answer)


def test_noise_on_the_port_is_ignored():
    junk = [b"", b"\x00", b"\xff" * 40, b"\x60", b"GET / HTTP/1.1\r\n\r\n", bytes(range(64, 200)), b"\x69\x45\0\0" + b"x" * 9]
    fetches(lambda request: [*junk, part(DATA, request)] if request.mtype == CON else [])


MALFORMED = {
    "marker without payload": b"\xff", "length beyond the end": b"\x49\x01", "reserved delta": b"\xf1\x01", "reserved length": b"\x4f\x01",
    "delta cut": b"\xd1", "long delta cut": b"\xe1\x01", "length cut": b"\x4d", "long length cut": b"\x4e\x01",
    "huge length": b"\x4e\xff\xff", "block of reserved size": b"\xd1\x0a\x07\xffx", "block of four bytes": b"\xd4\x0a\0\0\0\0\xffx",
    "two blocks": b"\xd1\x0a\x0e\x01\x0e\xffx",
}  # fmt: skip


@pytest.mark.parametrize("options", MALFORMED.values(), ids=MALFORMED)
def test_response_with_malformed_options_is_reset_and_the_next_one_used(options):
    def answer(request):
        if request.mtype == CON:
            return [raw(codes.CONTENT, request, CON, next(mids)) + options, part(DATA, request)]

    _, requests = fetches(answer)
    assert len([message for message in requests if message.mtype == RST]) >= 4


def test_unknown_critical_option_is_reset_and_an_unknown_elective_one_passed_over():
    def answer(request):
        if request.mtype == CON:
            critical = raw(codes.CONTENT, request, CON, next(mids)) + b"\xd0\xee\xffevil"  # 251
            elective = part(DATA, request)
            payload = elective.index(b"\xff\x00\x07") if b"\xff\x00\x07" in elective else 0
            return [critical, elective[:payload] + b"\xd1\xc1x" + elective[payload:] if payload else elective]  # 28 + 206

    _, requests = fetches(answer)
    assert len([message for message in requests if message.mtype == RST]) >= 4


@pytest.mark.parametrize("what", ["token", "short token", "mid"])
def test_answer_that_is_not_ours_is_not_used(what):
    def answer(request):
        if request.mtype != CON:
            return []
        forged = {"payload": b"x" * 1024, "block2": (request.opt.block2[0], True, 6)}
        change = {"token": {"token": bytes(8)}, "short token": {"token": request.token[:4]}, "mid": {"mid": request.mid ^ 1}}[what]
        return [raw(codes.CONTENT, request, **forged, **change), part(DATA, request)]

    fetches(answer)


def test_other_entity_tag_in_mid_transfer_starts_over():
    other = bytes(5000)
    asked = itertools.count()
    found, requests = fetches(lambda request: [part(DATA, request) if next(asked) < 3 else part(other, request, etag=b"\x02")], other)
    assert found["restarts"] == 1
    assert [request.opt.block2[0] for request in requests] == [0, 1, 2, 3, 0, 1, 2, 3, 4]


def test_entity_tag_that_vanishes_starts_over():
    asked = itertools.count()
    found, _ = fetches(lambda request: [part(DATA, request, etag=b"\x01" if next(asked) < 2 else None)])
    assert found["restarts"] == 1


def test_server_that_resets_is_asked_again():
    asked = itertools.count()
    fetches(lambda request: [empty(RST, request.mid)] if next(asked) == 2 else [part(DATA, request)])


@pytest.mark.parametrize("code", [codes.NOT_FOUND, codes.UNAUTHORIZED, codes.VALID, codes.CONTINUE, codes.CHANGED,
                                  codes.SERVICE_UNAVAILABLE, codes.BAD_OPTION], ids=str)  # fmt: skip
def test_other_status_is_refused(code):
    refuses(lambda request: [raw(code, request)], E_STATUS)


@pytest.mark.parametrize("announced", [4999, 5001, 0xFFFFFFFF])
def test_other_size2_is_refused(announced):
    refuses(lambda request: [part(DATA, request, size2=announced)], E_LENGTH)


@pytest.mark.parametrize("length", [1024, 4096, 4999, 5001, 6000])
def test_artifact_of_another_length_is_refused(length):
    data = (DATA * 2)[:length]
    refuses(lambda request: [part(data, request, size2=None)], E_LENGTH)


@pytest.mark.parametrize("case", ["number", "larger", "short", "long", "no block later"])
def test_wrong_block_is_refused(case):
    def answer(request):
        if request.opt.block2[0] == 0:
            return [part(DATA, request, 5)]
        response = {
            "number": lambda: part(DATA, request, 5, shift=512),
            "larger": lambda: raw(codes.CONTENT, request, payload=DATA[512:1536], block2=(1, True, 6), etag=b"\x01"),
            "short": lambda: raw(codes.CONTENT, request, payload=DATA[512:600], block2=(1, True, 5), etag=b"\x01"),
            "long": lambda: raw(codes.CONTENT, request, payload=DATA[512:1200], block2=(1, True, 5), etag=b"\x01"),
            "no block later": lambda: raw(codes.CONTENT, request, payload=DATA[512:1200], etag=b"\x01"),
        }[case]
        return [response()]

    refuses(answer, E_RANGE)


def test_datagram_larger_than_the_buffer_is_refused():
    refuses(lambda request: [raw(codes.CONTENT, request, payload=bytes(1900), etag=b"\x01")], E_RANGE)


def test_block_with_more_than_there_is_room_for_is_refused():
    refuses(lambda request: [part(DATA, request)], E_RANGE, part=512)


@pytest.mark.parametrize("url", ["coap://", "coap:///x", "coap://h", "coap://h:0/x", "coap://h:x/x", "coap://h:99999/x",
                                 "coap://u@h/x", "coap://h/x#y", "coap://h/%zz", "coap+tcp://h/x", "ftp://h/x"])  # fmt: skip
def test_url_that_is_none_is_refused(url):
    assert fetch(url=url, size=1)["error"] == E_URL


class Linkkit:
    """Logins, then blocks by POST; `option` is the only token option it knows, a token is good for `uses` requests."""

    def __init__(self, option=2088, uses=1000):
        self.option, self.uses, self.logins, self.used = option, uses, 0, 0

    def __call__(self, request):
        if request.opt.uri_path == ("auth",):
            self.logins += 1
            self.used = 0
            return [raw(codes.CONTENT, request, payload=json.dumps({"token": f"t{self.logins}"}).encode())]
        self.used += 1
        if token_of(request) != (f"t{self.logins}", self.option) or self.used > self.uses:
            return [raw(codes.UNAUTHORIZED if self.option == 2088 else codes.BAD_OPTION, request)]
        assert request.code == codes.POST and request.opt.accept == 42
        return [part(DATA, request)]


PATH = "/topic/ota/device/download/a1B2c3D4e5F/dev01"


@pytest.mark.parametrize("option", [2088, 61])
def test_linkkits_form_logs_in_and_posts_with_the_token(option):
    server = Linkkit(option)
    _, requests = fetches(server, path=PATH)
    body = json.loads(requests[0].payload)
    assert body == {"productKey": "a1B2c3D4e5F", "deviceName": "dev01", "clientId": "a1B2c3D4e5F.dev01",
                    "sign": "da206634180ecd85cd501381272664ac"}  # fmt: skip
    assert server.logins == (1 if option == 2088 else 3)


def test_token_that_ends_in_mid_transfer_is_replaced():
    server = Linkkit(uses=3)
    fetches(server, path=PATH)
    assert server.logins == 2


def test_token_that_ends_again_and_again_is_replaced_as_long_as_blocks_come():
    server = Linkkit(uses=1)
    fetches(server, path=PATH)
    assert server.logins > 3


def test_server_that_never_accepts_a_token_is_refused():
    server = Linkkit(uses=0)
    refuses(server, E_STATUS, path=PATH)
    assert server.logins == 3


@pytest.mark.parametrize("reply", [b"", b"{}", b"[]", b"\xff", b'{"token":1}', b'{"token":""}', b'{"token":"%s"}' % (b"x" * 193)])
def test_login_that_gives_no_token_is_refused(reply):
    refuses(lambda request: [raw(codes.CONTENT, request, payload=reply)], E_STATUS, path=PATH)
