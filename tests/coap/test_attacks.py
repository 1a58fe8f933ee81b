"""Somebody between or beside the board and its server: forged, replayed and useless datagrams (RFC 7252 section 11)."""
# SPDX-License-Identifier: MIT

import asyncio
import concurrent.futures
import contextlib
import itertools
import json
import os
import random
import socket
import time

import aiocoap
import pytest
from aiocoap.numbers import codes
from aiocoap.numbers.optionnumbers import OptionNumber
from aiocoap.optiontypes import OpaqueOption
from mpota import pki, udpfront
from mpota.coapserver import CoapServer
from mpota.running import served_folder
from mpota.store import Store
from OpenSSL import SSL

from coap.peer import ACK, CON, IDENTITY, NON, RST, Channel, Peer, empty, fetch, raw, until
from coap.test_channel import UPGRADE, Server
from coap.test_download import DATA, E_RANGE, TIMED_OUT, fetches, part, refuses


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def stranger():
    """A socket on another address than the server's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.5", 0))
        one.settimeout(0.3)
        yield one


def forged(request):
    return raw(codes.CONTENT, request, payload=b"x" * 1024, block2=(request.opt.block2[0], True, 6), etag=b"\x01")


def test_off_path_answer_is_not_even_answered_though_it_knows_everything(stranger):
    peer = None

    def answer(request):
        if request.mtype == CON:
            stranger.sendto(forged(request), peer.board)
            time.sleep(0.002)
            return [part(DATA, request)]

    with Peer(answer) as peer:
        found = fetch(url=f"coap://127.0.0.1:{peer.port}/artifact", size=len(DATA))
    assert found["sent"] == found["received"] == 5, found
    with pytest.raises(TimeoutError):
        stranger.recv(2048)


def test_off_path_notification_is_not_delivered(server, stranger):
    with Peer(server) as peer, Channel(peer.port) as board:
        until(lambda: server.observation)
        time.sleep(0.05)
        for _ in range(5):
            stranger.sendto(server.notification(b"forged"), peer.board)
        peer.send(server.notification(UPGRADE))
        assert board.expect("message")["message"] == UPGRADE.decode()
        with pytest.raises(TimeoutError):
            stranger.recv(2048)


def test_tokens_and_the_first_message_ids_are_random():
    seen, tokens = [], set()
    for _ in range(4):
        _, requests = fetches(lambda request: [part(DATA, request)])
        seen.append(requests[0].mid)
        tokens |= {request.token for request in requests}
        assert len(tokens) == 5 * len(seen) and {len(token) for token in tokens} == {8}
    assert len(set(seen)) == 4


def test_acknowledgement_without_an_answer_is_given_up():
    found, requests = refuses(lambda request: [empty(ACK, request.mid)] * 3, TIMED_OUT, separate_ms=300, retries=0)
    assert len(requests) == 1, "what was acknowledged is not sent again"


def test_acknowledgements_without_end_do_not_make_the_board_wait_longer():
    peer = None

    def answer(request):
        for _ in range(40):
            time.sleep(0.02)
            peer.send(empty(ACK, request.mid))

    start = time.monotonic()
    with Peer(answer) as peer:
        found = fetch(url=f"coap://127.0.0.1:{peer.port}/artifact", size=10, separate_ms=300, retries=0)
    assert found["error"] == TIMED_OUT and time.monotonic() - start < 5


@pytest.mark.parametrize("tail", [b"\0", b"\xff", b"12345678"], ids=repr)
def test_empty_message_that_is_not_empty_is_no_acknowledgement(tail):
    """RFC 7252 4.1: it is repeated as if nothing had come."""
    _, requests = refuses(lambda request: [empty(ACK, request.mid) + tail, empty(RST, request.mid) + tail], TIMED_OUT, ack_ms=10, retries=0)
    assert len(requests) == 5


def test_reset_or_acknowledgement_of_another_message_changes_nothing():
    fetches(lambda request: [empty(RST, request.mid ^ 1), empty(ACK, request.mid ^ 1), part(DATA, request)] if request.mtype == CON else [])


def test_blocks_too_small_to_be_numbered_are_refused():
    """A block has a number of 20 bits; the server makes them smaller and smaller."""
    base = 16 * ((1 << 20) - 64)
    asked = []

    def answer(request):
        number, _, szx = request.opt.block2
        asked.append((number, szx))
        return [raw(codes.CONTENT, request, payload=bytes(16), block2=(number << szx, True, 0), etag=b"\x01")]

    found, _ = refuses(answer, E_RANGE, size=(1 << 24) + 4096, offset=base)
    assert max(number for number, szx in asked if not szx) == (1 << 20) - 1 and found["got"] == 1 << 24


def test_board_never_answers_with_more_than_four_bytes_or_more_often_than_asked(server):
    """It is no amplifier, whoever pretends to be its server."""
    chance = random.Random(11)
    with Peer(server) as peer, Channel(peer.port) as board:
        until(lambda: server.observation)
        time.sleep(0.1)
        before = len(peer.requests)
        datagrams = [chance.randbytes(chance.randrange(1, 1400)) for _ in range(100)]
        datagrams += [
            raw(chance.choice([codes.GET, codes.CONTENT]), server.observation, mtype, n, b"a guess", payload=bytes(chance.randrange(600)))
            for n, mtype in enumerate(itertools.islice(itertools.cycle((CON, NON, ACK, RST)), 100))
        ]
        for datagram in datagrams:
            peer.send(datagram)
            time.sleep(0.002)
        peer.send(server.notification(UPGRADE))
        assert board.expect("message")
        answers = peer.requests[before:]
    assert 0 < len(answers) <= len(datagrams) + 1
    assert all(answer.mtype in (ACK, RST) and answer.code == codes.EMPTY and not answer.payload for answer in answers)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return pki.prepare(tmp_path_factory.mktemp("pki"), "127.0.0.1")


@pytest.fixture
def serving(tmp_path, certificates):
    Store(tmp_path, create=True).close()
    served_folder(tmp_path).mkdir()
    (served_folder(tmp_path) / f"{'0' * 64}.bin").write_bytes(DATA)
    server = CoapServer(tmp_path, "127.0.0.1", None, certificates)
    server.start()
    yield server
    server.stop()


class Client:
    """A UDP socket that asks by the byte."""

    def __init__(self, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.socket.settimeout(1)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def ask(self, datagram):
        """Repeats itself, as CoAP does."""
        for _ in range(20):
            self.socket.send(datagram)
            with contextlib.suppress(TimeoutError):
                return self.socket.recv(2048)
        raise AssertionError("no answer")


def request(code, *path, payload=b"", token=b"tokn", mid=77):
    options, number = b"", 0
    for part_ in path:
        delta, number = 11 - number, 11
        options += bytes([delta << 4 | 13, len(part_) - 13]) if len(part_) > 12 else bytes([delta << 4 | len(part_)])
        options += part_
    return bytes([0x44, code, mid >> 8, mid & 255]) + token + options + (b"\xff" + payload if payload else b"")


WANTED = request(1, b"0" * 64 + b".bin")
FATAL_ALERT = b"\x15\xfe\xfd" + bytes(7) + b"\x05\0\2\2\x30"  # unknown_ca


@pytest.mark.parametrize("asked", [
    request(1), request(1, b"x"), request(1, b".well-known", b"core"), request(2, b"auth"), request(2, b"auth", payload=b"{}"),
    request(2, b"auth", payload=b"[" * 900), request(1, b"topic", b"ota", b"device", b"upgrade", b"pk", b"dn"),
    request(2, b"topic", b"ota", b"device", b"inform", b"pk", b"dn", payload=b"{}"), request(3, b"x"), request(0), request(31, b"x"),
    request(1, b"1" * 64 + b".bin"),
], ids=range(12))  # fmt: skip
def test_server_answers_strangers_with_no_more_than_they_sent(serving, asked):
    """Whoever does not know an artifact's name, which is its digest, cannot use the server as an amplifier."""
    with Client(serving.port) as client:
        assert len(client.ask(asked)) <= len(asked)


def test_server_lives_through_noise_and_says_nothing(serving, caplog):
    chance = random.Random(12)
    with Client(serving.port) as client, Client(serving.tls_port) as secure:
        for n in range(300):
            noise = chance.randbytes(chance.randrange(0, 200))
            client.socket.send(b"\x40" + noise if n & 1 else noise)
            secure.socket.send(b"\x16\xfe\xfd" + noise if n & 1 else noise)
    with Client(serving.port) as client:
        assert client.ask(request(1, b"0" * 64 + b".bin"))[1] == codes.CONTENT
    assert not caplog.records


class DtlsClient(Client):
    """The same over DTLS, by OpenSSL."""

    def __init__(self, port, flights=None):
        super().__init__(port)
        self.begin(flights)

    def begin(self, flights=None):
        """A handshake from the same address, which stops after so many flights of ours. `hello` is then the last one sent."""
        self._connection = SSL.Connection(SSL.Context(SSL.DTLS_CLIENT_METHOD), None)
        self._connection.set_connect_state()
        self._connection.set_ciphertext_mtu(1400)
        while True:
            try:
                self._connection.do_handshake()
                break
            except SSL.WantReadError:
                self._flush()
                if flights == 1:
                    break
                flights = flights and flights - 1
                self._connection.bio_write(self.socket.recv(4096))
        self._flush()

    def drain(self):
        """Reads what the server has sent."""
        self.socket.settimeout(0.1)
        with contextlib.suppress(TimeoutError):
            while self.socket.recv(4096):
                pass
        self.socket.settimeout(1)

    def _flush(self):
        try:
            data = self._connection.bio_read(1 << 16)
        except SSL.WantReadError:
            return
        while data:
            end = 13 + int.from_bytes(data[11:13])
            if data[0] == 22 and data[13] == 1:
                self.hello = data[:end]
            self.socket.send(data[:end])
            data = data[end:]

    def ask(self, datagram):
        self._connection.send(datagram)
        self._flush()
        while True:
            try:
                return self._connection.recv(2048)
            except SSL.WantReadError:
                self._connection.bio_write(self.socket.recv(4096))


def client_hello():
    """A first ClientHello, without cookie, as OpenSSL writes it."""
    connection = SSL.Connection(SSL.Context(SSL.DTLS_CLIENT_METHOD), None)
    connection.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        connection.do_handshake()
    return connection.bio_read(1 << 16)


def test_forged_records_do_not_end_a_dtls_session(serving):
    """Sent from the peer's own address, as by somebody who can spoof it: alerts, a new hello, rubbish."""
    with DtlsClient(serving.tls_port) as client:
        assert client.ask(WANTED)[1] == codes.CONTENT
        for forgery in (b"\x15\xfe\xfd" + bytes(7) + b"\x09\0\2\2\x28", client_hello(), b"\x17\xfe\xfd\0\1" + bytes(6) + b"\0\x20" + bytes(32), b"x" * 50):
            client.socket.send(forgery)
        assert client.ask(request(1, b"0" * 64 + b".bin", mid=78))[1] == codes.CONTENT


def test_hello_without_cookie_costs_the_server_no_more_than_it_sends(serving):
    hello = client_hello()
    with Client(serving.tls_port) as client:
        assert len(client.ask(hello)) <= len(hello)


@pytest.mark.parametrize("size", [1 << 14, (1 << 14) + 14, 65000])
def test_no_datagram_stands_before_the_next_boards_hello(serving, size):
    with Client(serving.tls_port) as client:
        for _ in range(3):
            client.socket.send(client_hello().ljust(size, b"\x16"))
    with DtlsClient(serving.tls_port) as board:
        assert board.ask(WANTED)[1] == codes.CONTENT


@pytest.mark.parametrize("last", [None, FATAL_ALERT], ids=["power cut", "unknown_ca"])
def test_handshake_that_ends_half_way_begins_anew_from_its_address(serving, last):
    with DtlsClient(serving.tls_port, flights=2) as board:
        board.drain()
        if last:
            board.socket.send(last)
            board.drain()
        board.begin()
        assert board.ask(WANTED)[1] == codes.CONTENT


def test_hello_that_comes_again_does_not_end_its_session(serving):
    with DtlsClient(serving.tls_port) as board:
        board.socket.send(board.hello)
        assert board.ask(WANTED)[1] == codes.CONTENT
        board.begin()
        assert board.ask(WANTED)[1] == codes.CONTENT


def test_handshake_that_openssl_gives_up_is_forgotten(certificates):
    """After a dozen repetitions, minutes later; from then on its clock says that the next is due at once."""

    class Tired:
        def DTLSv1_handle_timeout(self):
            raise SSL.Error

        def DTLSv1_get_timeout(self):
            return 0

        def bio_read(self, n):
            raise SSL.WantReadError

    async def overdue():
        peer = udpfront.Dtls(udpfront.Listener(certificates), ("127.0.0.1", 1), None, None)
        peer._next = udpfront.Session(Tired(), None)
        peer._overdue(peer._next)
        return peer.begun, peer._timer

    assert asyncio.run(overdue()) == (False, None)


def sockets():
    return len(os.listdir("/proc/self/fd"))


def test_datagrams_that_say_nothing_to_the_server_cost_it_no_socket(serving):
    hello, before = client_hello(), sockets()
    for n in range(50):
        for port in (serving.port, serving.tls_port):
            with Client(port) as client:
                client.socket.send(hello if n & 1 else b"x")
    with Client(serving.port) as client:
        assert client.ask(request(1, b"x"))[1] == codes.NOT_FOUND
    with DtlsClient(serving.tls_port) as client:
        assert client.ask(request(1, b"x"))[1] == codes.NOT_FOUND
    assert sockets() <= before + 2


def test_cookie_is_good_for_its_address_only(serving):
    hello = client_hello()
    with Client(serving.tls_port) as one, Client(serving.tls_port) as other:
        assert one.ask(hello)[13] == other.ask(hello)[13] == 3  # HelloVerifyRequest
        assert one.ask(hello)[25:] == one.ask(hello)[25:] != other.ask(hello)[25:]


def test_peers_are_forgotten_when_there_are_too_many(serving, monkeypatch):
    monkeypatch.setattr(udpfront, "MAX_PEERS", 8)
    before, clients = sockets(), [Client(serving.port) for _ in range(40)]
    assert all(client.ask(request(1, b"x"))[1] == codes.NOT_FOUND for client in clients)
    assert sockets() <= before + 40 + 8
    assert clients[0].ask(request(1, b"x", mid=99))[1] == codes.NOT_FOUND
    for client in clients:
        client.socket.close()


def test_peers_are_forgotten_when_they_have_been_silent(serving, monkeypatch):
    monkeypatch.setattr(udpfront, "STRANGER_S", 0.2)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(serving.port)) for _ in range(20)]
        before = sockets()
        assert all(client.ask(WANTED)[1] == codes.CONTENT for client in clients)
        time.sleep(0.3)
        assert clients[0].ask(request(1, b"x"))[1] == codes.NOT_FOUND
        assert sockets() <= before + 1


def test_blocks_that_were_answered_are_not_kept(serving):
    with Client(serving.port) as client:
        for n in range(100):
            assert client.ask(request(1, b"0" * 64 + b".bin", mid=n))[1] == codes.CONTENT
        assert client.ask(request(1, b"x", mid=100))[1] == codes.NOT_FOUND
    assert len(serving.answered) == 1


class Board:
    """A client that logs in."""

    def __init__(self, port, make=Client):
        self.client = make(port)
        self._mids = itertools.count(1)
        pk, dn, _ = IDENTITY
        login = {"productKey": pk, "deviceName": dn, "clientId": f"{pk}.{dn}", "sign": "da206634180ecd85cd501381272664ac"}
        self.token = json.loads(self.ask(codes.POST, ("auth",), json.dumps(login).encode()).payload)["token"]

    def ask(self, code, path, payload=b"", token=None, **options):
        message = aiocoap.Message(code=code, uri_path=path, payload=payload, **options)
        message.mtype, message.mid, message.token = CON, next(self._mids), b"tokn"
        message.direction = aiocoap.message.Direction.OUTGOING
        if token:
            message.opt.add_option(OpaqueOption(OptionNumber(2088), token.encode()))
        return aiocoap.Message.decode(self.client.ask(message.encode()))

    def observe(self):
        return self.ask(codes.GET, ("topic", "ota", "device", "upgrade", *IDENTITY[:2]), token=self.token, observe=0).code


@pytest.fixture
def known(serving, tmp_path):
    """The server, which knows a device."""
    store = Store(tmp_path)
    store.add_device(*IDENTITY)
    store.close()
    nothing_new = concurrent.futures.Future()
    nothing_new.set_result(b"")
    serving._ask = lambda topic, payload: nothing_new
    return serving


@pytest.mark.parametrize("make", [Client, DtlsClient])
def test_strangers_do_not_take_the_place_of_a_peer_that_has_logged_in(known, make, monkeypatch):
    monkeypatch.setattr(udpfront, "MAX_PEERS", 8)
    port = known.port if make is Client else known.tls_port
    board = Board(port, make)
    for _ in range(20):
        with make(port) as stranger:
            stranger.ask(request(1, b"x"))
    assert board.observe() == codes.CONTENT
    board.client.socket.close()


def test_observation_that_another_replaces_leaves_nothing_behind(known):
    for _ in range(20):
        board = Board(known.port)
        assert board.observe() == codes.CONTENT
        with pytest.raises(TimeoutError):
            board.client.socket.settimeout(0.01)
            board.client.socket.recv(2048)
        board.client.socket.close()
    assert known.observers == 1 and len(asyncio.all_tasks(known._loop)) < 10


def test_device_that_says_too_much_is_told_to_come_later(known):
    too_much = concurrent.futures.Future()
    too_much.set_result(None)
    known._ask = lambda topic, payload: too_much
    board = Board(known.port)
    inform = "topic", "ota", "device", "inform", *IDENTITY[:2]
    assert board.ask(codes.POST, inform, b'{"params":{"version":"1"}}', board.token).code == codes.SERVICE_UNAVAILABLE
    assert board.observe() == codes.CONTENT
    board.client.socket.close()
