"""Linkkit's channel over CoAP against a scripted server: login, messages, Observe, and servers that misbehave."""
# SPDX-License-Identifier: MIT

import itertools
import json
import time

import pytest
from aiocoap.numbers import codes

from coap.peer import ACK, CON, NON, RST, Channel, Peer, empty, fetch, raw, token_of, until

UPGRADE = b'{"code":"1000","data":{"version":"2"}}'
NAME = ("a1B2c3D4e5F", "dev01")


class Server:
    """Speaks Linkkit as it should; a test replaces what should go wrong. `notices` are given to who asks."""

    observes = True

    def __init__(self):
        self.tokens = itertools.count(1)
        self.token = None
        self.posts, self.notices = [], []
        self.observation = None
        self.mids, self.numbers = itertools.count(9000), itertools.count(10)
        self.instead = {}  # resource: list of codes to answer with first

    def __call__(self, request):
        if request.mtype in (ACK, RST):
            return None
        name = request.opt.uri_path[3] if len(request.opt.uri_path) == 6 else request.opt.uri_path[0]
        if self.instead.get(name):
            return [raw(self.instead[name].pop(0), request)]
        if name == "auth":
            self.token = f"t{next(self.tokens)}"
            return [raw(codes.CONTENT, request, payload=json.dumps({"token": self.token}).encode())]
        if token_of(request)[0] != self.token:
            return [raw(codes.UNAUTHORIZED, request)]
        assert request.opt.uri_path == ("topic", "ota", "device", name, *NAME)
        return [getattr(self, name)(request)]

    def inform(self, request):
        return self._post("inform", request)

    def progress(self, request):
        return self._post("progress", request)

    def _post(self, name, request):
        assert request.code == codes.POST and request.opt.content_format == 50
        self.posts.append((name, json.loads(request.payload)["params"]))
        return raw(codes.CHANGED, request)

    def request(self, request):
        self.posts.append(("request", json.loads(request.payload)["params"]))
        return raw(codes.CONTENT, request, payload=self.notices.pop(0) if self.notices else b"")

    def upgrade(self, request):
        assert request.code == codes.GET and request.opt.observe == 0
        if not self.observes:
            return raw(codes.NOT_FOUND, request)
        self.posts.append(("observe", request.token))
        self.observation = request
        payload = self.notices.pop(0) if self.notices else b""
        return raw(codes.CONTENT, request, payload=payload, observe=next(self.numbers))

    def notification(self, payload, mtype=CON, **options):
        options = {"observe": next(self.numbers), "mid": next(self.mids)} | options
        return raw(codes.CONTENT, self.observation, mtype, payload=payload, **options)

    def did(self, name):
        return [what for kind, what in self.posts if kind == name]


@pytest.fixture
def server():
    return Server()


def test_device_logs_in_informs_and_observes(server):
    server.notices = [UPGRADE]
    with Peer(server) as peer, Channel(peer.port) as board:
        assert not board.expect("connected")["informed"]
        assert board.expect("connected")["informed"]
        assert board.expect("message")["message"] == UPGRADE.decode()
        assert server.did("inform") == [{"version": "1.0.0"}]
    login = json.loads(peer.requests[0].payload)
    assert login["sign"] == "da206634180ecd85cd501381272664ac" and peer.requests[0].opt.content_format == 50


def test_notification_is_acknowledged_and_delivered_once(server):
    with Peer(server) as peer, Channel(peer.port) as board:
        until(lambda: server.observation)
        time.sleep(0.05)
        datagram = server.notification(UPGRADE)
        for _ in range(3):
            peer.send(datagram)
        board.expect("message")
        until(lambda: len(peer.of(ACK)) == 3)
        board.type("close")
        assert "closed" in board.expect("closed") and board.facts.empty()


def test_notification_older_than_the_last_is_dropped(server):
    with Peer(server) as peer, Channel(peer.port) as board:
        until(lambda: server.observation)
        time.sleep(0.05)
        for number, payload in ((50, b"new"), (49, b"old"), (51, b"newer"), (51, b"again")):
            peer.send(server.notification(payload, observe=number))
        assert [board.expect("message")["message"] for _ in range(2)] == ["new", "newer"]
        until(lambda: len(peer.of(ACK)) == 4)
        assert board.facts.empty()


def test_notification_number_may_wrap(server):
    server.numbers = itertools.chain([0xFFFFFE, 0xFFFFFF, 0, 1])
    with Peer(server) as peer, Channel(peer.port) as board:
        until(lambda: server.observation)
        time.sleep(0.05)
        for payload in (b"a", b"b", b"c"):
            peer.send(server.notification(payload, NON))
        assert [board.expect("message")["message"] for _ in range(3)] == ["a", "b", "c"]


def test_observation_that_ends_is_renewed(server):
    with Peer(server) as peer, Channel(peer.port):
        until(lambda: server.observation)
        time.sleep(0.05)
        peer.send(raw(codes.SERVICE_UNAVAILABLE, server.observation, CON, 4711))
        until(lambda: len(server.did("observe")) == 2)
        assert len(set(server.did("observe"))) == 1, "the same token renews it"


def test_observations_that_end_at_once_are_no_storm(server):
    def upgrade(request):
        server.posts.append(("observe", request.token))
        return raw(codes.CONTENT, request, observe=1)

    def answer(request):
        datagrams = server(request)
        if datagrams and len(request.opt.uri_path) == 6 and request.opt.uri_path[3] == "upgrade":
            datagrams.append(raw(codes.SERVICE_UNAVAILABLE, request, CON, next(server.mids)))
        return datagrams

    server.upgrade = upgrade
    with Peer(answer) as peer, Channel(peer.port) as board:
        board.expect_log("observation ended, 5.03")
        time.sleep(2)
    assert 2 <= len(server.did("observe")) <= 6


def test_messages_that_are_not_ours_are_reset(server):
    with Peer(server) as peer, Channel(peer.port):
        until(lambda: server.observation)
        time.sleep(0.05)
        peer.send(server.notification(UPGRADE, token=b"87654321"))
        peer.send(server.notification(UPGRADE, NON, token=b"1"))
        peer.send(empty(CON, 600))  # a ping
        peer.send(raw(codes.GET, server.observation, CON, 601, uri_path=("x",)))
        until(lambda: len(peer.of(RST)) == 4)


def test_poll_is_the_way_where_the_server_does_not_observe(server):
    server.observes, server.notices = False, [b"", UPGRADE]
    with Peer(server) as peer, Channel(peer.port, poll_s=1) as board:
        board.expect("message")
        until(lambda: len(server.did("request")) == 4)
        times = len(peer.requests)
        assert server.did("request")[0] == {"version": "1.0.0"} and times < 12


def test_poll_has_jitter(server):
    server.observes = False
    seen = []
    server.request = lambda request: seen.append(time.monotonic()) or raw(codes.CONTENT, request)
    with Peer(server) as peer, Channel(peer.port, poll_s=1):
        until(lambda: len(seen) == 6)
    gaps = [after - before for before, after in itertools.pairwise(seen)]
    assert all(0.8 < gap < 1.3 for gap in gaps) and max(gaps) - min(gaps) > 0.01


@pytest.mark.parametrize("code", [codes.UNAUTHORIZED, codes.BAD_OPTION, codes.INTERNAL_SERVER_ERROR], ids=str)
@pytest.mark.parametrize("name", ["inform", "upgrade", "progress"])
def test_refused_token_leads_to_a_new_login_and_nothing_is_lost(server, code, name):
    server.instead[name] = [code]
    with Peer(server) as peer, Channel(peer.port) as board:
        board.type("outcome -3 1050 digest differs")
        assert board.expect("connected")["connected"]
        until(lambda: server.did("observe") and server.did("inform") and server.did("progress"))
        assert server.did("progress") == [{"step": "-3", "desc": "1050 digest differs"}]
        assert next(server.tokens) == 3
    assert board.log[-1].startswith("ota: no server, token refused")


def test_token_option_is_the_sdks_if_the_documented_one_is_refused(server):
    before = server.__call__
    used = []

    def answer(request):
        text, number = token_of(request)
        if number:
            used.append(number)
            if number == 2088:
                return [raw(codes.BAD_OPTION, request)]
        return before(request)

    with Peer(answer) as peer, Channel(peer.port):
        until(lambda: server.observation)
    assert used[:2] == [2088, 2088] and set(used[2:]) == {61}


@pytest.mark.parametrize("reply", [b"", b"[1]", b"not json", b'{"token":7}', b'{"token":"%s"}' % (b"x" * 200), b'{"token":"t","x":"%s"}' % (b"x" * 400)], ids=repr)
def test_login_without_token_is_repeated_later(server, reply):
    bad = [reply, reply]
    answer = server.__call__
    with Peer(lambda request: [raw(codes.CONTENT, request, payload=bad.pop())] if bad and request.mtype == CON else answer(request)) as peer:
        with Channel(peer.port) as board:
            until(lambda: server.observation)
    assert len([line for line in board.log if "login refused" in line]) == 2


def test_wrong_secret_backs_off(server):
    server.instead["auth"] = [codes.UNAUTHORIZED] * 100
    with Peer(server) as peer, Channel(peer.port) as board:
        board.expect_log("login refused, 4.01")
        time.sleep(3.5)
    assert 2 <= len(peer.requests) <= 4


def test_last_of_several_progress_reports_counts_and_outcomes_are_kept(server):
    server.instead["auth"] = [codes.UNAUTHORIZED]
    with Peer(server) as peer, Channel(peer.port) as board:
        for line in ("progress 5", "progress 10", "outcome -1 1010 version is not newer", "progress 20", "progress 30"):
            board.type(line)
        until(lambda: len(server.did("progress")) == 2)
        assert [report["step"] for report in server.did("progress")] == ["-1", "30"]
        assert any(fact["delivered"] for fact in iter(lambda: board.expect("connected"), None))


@pytest.mark.parametrize("code", [codes.INTERNAL_SERVER_ERROR, codes.NOT_IMPLEMENTED, codes.SERVICE_UNAVAILABLE], ids=str)
def test_server_that_takes_no_reports_is_asked_all_the_same(server, code):
    server.instead["progress"] = [code] * 1000
    with Peer(server) as peer, Channel(peer.port) as board:
        board.type("outcome -3 1050 digest differs")
        board.expect_log(f"{code // 32}.{code % 32:02}")
        until(lambda: server.did("observe"))
        time.sleep(3)
    assert 2 <= 1000 - len(server.instead["progress"]) <= 5, "the pauses grow"


def test_progress_that_fails_does_not_stand_in_the_way_of_an_outcome(server):
    server.instead["progress"] = [codes.SERVICE_UNAVAILABLE]
    with Peer(server) as peer, Channel(peer.port) as board:
        until(lambda: server.did("observe"))
        board.type("progress 5")
        board.expect_log("server fails, 5.03")
        board.type("outcome -3 1050 digest differs")
        until(lambda: server.did("progress"))
        assert server.did("progress") == [{"step": "-3", "desc": "1050 digest differs"}]


def test_inform_that_is_refused_informs_nobody(server):
    server.instead["inform"] = [codes.NOT_FOUND]
    with Peer(server) as peer, Channel(peer.port) as board:
        board.expect_log("inform refused, 4.04")
        assert not [fact for fact in board.facts.queue if fact.get("informed")]
        while not board.expect("connected")["informed"]:
            pass
        assert len(server.did("inform")) == 1


def test_close_sends_what_is_waiting(server):
    with Peer(server) as peer, Channel(peer.port) as board:
        until(lambda: server.observation)
        board.type("outcome 100 .")
        board.type("close")
        board.expect("closed")
        assert server.did("progress") == [{"step": "100", "desc": "."}]


def test_close_does_not_wait_for_a_silent_server(server):
    gone = []
    with Peer(lambda request: None if gone else server(request)) as peer, Channel(peer.port, ack_ms=2000) as board:
        until(lambda: server.observation)
        gone.append(True)
        board.type("outcome 100 .")
        start = time.monotonic()
        board.type("close")
        board.expect("closed")
        assert time.monotonic() - start < 3


@pytest.mark.parametrize("how", ["datagram", "more blocks"])
def test_message_that_does_not_fit_is_refused_and_told(server, how):
    def upgrade(request):
        options = {"block2": (0, True, 6)} if how == "more blocks" else {}
        return raw(codes.CONTENT, request, payload=b"x" * (1024 if options else 1500), observe=1, **options)

    server.upgrade = upgrade
    with Peer(server) as peer, Channel(peer.port) as board:
        until(lambda: server.did("progress"))
        assert server.did("progress") == [{"step": "-1", "desc": "1021 message too long"}]
        board.expect_log("refused: message too long (1021)")


def test_silent_server_is_tried_again_and_poll_never_blocks(server):
    with Peer(lambda request: None) as peer, Channel(peer.port, ack_ms=10) as board:
        board.expect_log("no server")
        until(lambda: len({request.token for request in peer.requests}) >= 2)
        assert not [fact for fact in board.facts.queue if "blocked" in fact]


def test_server_that_restarts_is_informed_again(server):
    with Peer(server) as peer, Channel(peer.port, poll_s=1):
        until(lambda: server.observation)
        server.token = None  # it has forgotten
        until(lambda: len(server.did("inform")) == 2)


def test_board_without_dtls_refuses_coaps_and_sends_nothing(server):
    with Peer(server) as peer:
        with Channel(peer.port, secure=True, no_dtls=True) as board:
            assert board.expect("error")["error"] == 1045
        found = fetch(url=f"coaps://127.0.0.1:{peer.port}/artifact", size=1, no_dtls=True)
        assert found["error"] == 1045
        assert not peer.requests
