"""Tokens of /auth and dynamic registration, by rule and over the network."""
# SPDX-License-Identifier: MIT

import asyncio
import hashlib
import hmac
import json
import socket
import ssl
import time
import urllib.parse
import urllib.request

import aiocoap
import pytest
from aiocoap.numbers import OptionNumber, codes

from mpota.logins import MAX_TOKENS, Registrar, Tokens
from mpota.store import Store

from .helpers import DN, PK, SECRET, mpota, mpota_json, serving, until

PS = "PsPsPsPsPsPsPsPs"
CONSTANT = "8Ygb7ULYh53B6OA"  # the "random" of Linkkit 3.0


def login(secret=SECRET, pk=PK, dn=DN, client=None, **changes):
    client = client or f"{pk}.{dn}"
    sign = hmac.new(secret.encode(), f"clientId{client}deviceName{dn}productKey{pk}".encode(), hashlib.md5).hexdigest()
    body = {"productKey": pk, "deviceName": dn, "clientId": client, "sign": sign} | changes
    return json.dumps({name: value for name, value in body.items() if value is not None}).encode()


@pytest.fixture
def tokens():
    clock = [0.0]
    known = {(PK, DN): SECRET, (PK, "dev02"): "other"}
    tokens = Tokens(lambda pk, dn: known.get((pk, dn)), lambda: clock[0])
    tokens.now, tokens.known = clock, known
    return tokens


def test_signature_of_the_dossier_is_accepted(tokens):
    assert json.loads(login())["sign"] == "da206634180ecd85cd501381272664ac"
    assert tokens.device(tokens.login(login(), "a:1"), "a:1") == (PK, DN)


def test_token_ends_with_the_secret_it_was_given_for(tokens):
    token = tokens.login(login(), "a:1")
    tokens.known[PK, DN] = "another"
    assert tokens.device(token, "a:1") is None
    del tokens.known[PK, DN]
    assert tokens.device(token, "a:1") is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"[" * 1000, login("wrong"), login(sign=None), login(sign=5), login(deviceName="x"),
                                  login(dn="nobody"), login(sign=""), login(clientId="y"), b"\xff", login(sign="\ud800"),
                                  login(deviceName="\ud800")], ids=range(14))  # fmt: skip
def test_wrong_login_is_refused(tokens, body):
    assert tokens.login(body, "a:1") is None


def test_token_is_refused_from_another_endpoint(tokens):
    token = tokens.login(login(), "a:1")
    assert tokens.device(token, "a:2") is None and tokens.device(token, "b:1") is None
    assert tokens.device(token, "a:1") == (PK, DN)


def test_token_is_refused_after_the_next_login_of_its_endpoint(tokens):
    old, new = tokens.login(login(), "a:1"), tokens.login(login(), "a:1")
    assert tokens.device(old, "a:1") is None and tokens.device(new, "a:1") == (PK, DN)


def test_token_ends(tokens):
    token = tokens.login(login(), "a:1")
    tokens.now[0] = 7 * 24 * 3600
    assert tokens.device(token, "a:1") is None


@pytest.mark.parametrize("token", [None, "", "0" * 32, "x" * 1000])
def test_token_that_was_never_given_is_refused(tokens, token):
    assert tokens.device(token, "a:1") is None


def test_number_of_tokens_is_bounded(tokens):
    first = tokens.login(login(), "first")
    for n in range(MAX_TOKENS):
        tokens.login(login(), n)
    assert tokens.device(first, "first") is None and len(tokens._given) == MAX_TOKENS


def form(chance=CONSTANT, ps=PS, pk=PK, dn=DN, **changes):
    sign = hmac.new(ps.encode(), f"deviceName{dn}productKey{pk}random{chance}".encode(), hashlib.sha256).hexdigest()
    return {"productKey": pk, "deviceName": dn, "random": chance, "sign": sign, "signMethod": "hmacsha256"} | changes


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path, create=True)
    store.add_device(PK, DN, SECRET, PS)
    return store


def test_registration_gives_the_secret(store):
    assert form()["sign"] == "64cd3a83793b7d4a60477de20e41107938a9a82d0a8ea3d2a761f72d8f61b131"
    reply = Registrar(store.folder).register(form())
    assert reply == {"code": 200, "data": {"productKey": PK, "deviceName": DN, "deviceSecret": SECRET}, "message": "success"}


@pytest.mark.parametrize("wrong", [{"ps": "wrong"}, {"sign": ""}, {"signMethod": "hmacmd5"}, {"random": ""}, {"random": "other"},
                                   {"deviceName": "x"}, {"productKey": "x"}, {"dn": "nobody"}, {"pk": "nobody"}], ids=repr)  # fmt: skip
def test_wrong_registration_is_refused_without_a_word_of_the_secret(store, wrong):
    reply = Registrar(store.folder).register(form(**wrong))
    assert reply["code"] != 200 and SECRET not in json.dumps(reply)


def test_registration_that_is_repeated_word_by_word_is_refused(store):
    registrar = Registrar(store.folder)
    assert [registrar.register(form())["code"] for _ in range(2)] == [200, 6289]
    assert registrar.register(form("another"))["code"] == 200, "the device lost power before it kept the secret"


def test_device_that_was_heard_of_cannot_register(store):
    store.set_version(PK, DN, "1.0.0")
    assert Registrar(store.folder).register(form())["code"] == 6292


@pytest.fixture
def state(tmp_path):
    assert mpota("device", "add", PK, DN, "--secret", SECRET, "--product-secret", PS, "--state", tmp_path).returncode == 0
    return tmp_path


def test_registration_over_https(state):
    with serving(state) as (_, server):
        context = ssl.create_default_context(cafile=server["ca"])
        url = f"https://127.0.0.1:{server['https_port']}/auth/register/device"
        with urllib.request.urlopen(url, urllib.parse.urlencode(form()).encode(), timeout=5, context=context) as response:
            assert json.load(response)["data"]["deviceSecret"] == SECRET
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(url, b"x" * 5000, timeout=5, context=context)
        assert error.value.code == 413
        with pytest.raises(urllib.error.HTTPError):  # the plain port does not register
            urllib.request.urlopen(f"http://127.0.0.1:{server['http_port']}/auth/register/device", b"x=1", timeout=5)


def test_device_that_asks_anew_before_it_is_answered_does_not_end_the_server(state):
    def message(path, payload, mid, token=None):
        made = aiocoap.Message(code=codes.POST, payload=payload, _mtype=aiocoap.CON, _mid=mid, _token=b"ab")
        made.opt.uri_path = path
        if token:
            made.opt.add_option(OptionNumber(2088).create_option(value=token.encode()))
        return made.encode()

    with serving(state) as (process, server), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.connect(("127.0.0.1", server["coap_port"]))
        peer.settimeout(5)
        peer.send(message(("auth",), login(), 1))
        token = json.loads(aiocoap.Message.decode(peer.recv(2000)).payload)["token"]
        for mid in range(2, 22):
            peer.send(message(("topic", "ota", "device", "inform", PK, DN), b'{"params": {"version": "1.0.0"}}', mid, token))
        until(lambda: mpota_json("status", "--state", state)[0]["version"] == "1.0.0")
        time.sleep(1)
        assert process.poll() is None


class Client:
    """A device by aiocoap."""

    def __init__(self, server):
        self._base = f"coap://127.0.0.1:{server['coap_port']}"
        self.token = None

    async def __aenter__(self):
        self.context = await aiocoap.Context.create_client_context()
        return self

    async def __aexit__(self, *exc):
        await self.context.shutdown()

    def message(self, code, path, payload=b"", token=None, **options):
        request = aiocoap.Message(code=code, uri=self._base + path, payload=payload, **options)
        if token or self.token:
            request.opt.add_option(OptionNumber(2088).create_option(value=(token or self.token).encode()))
        return request

    async def send(self, *args, **options):
        return await asyncio.wait_for(self.context.request(self.message(*args, **options)).response, 30)

    async def login(self):
        response = await self.send(codes.POST, "/auth", login())
        self.token = json.loads(response.payload)["token"]

    async def post(self, kind, params, **options):
        payload = params if isinstance(params, bytes) else json.dumps({"id": 0, "params": params}).encode()
        return await self.send(codes.POST, f"/topic/ota/device/{kind}/{PK}/{DN}", payload, **options)


def test_update_over_coap_as_aiocoap_sees_it(state, shelf, build):
    new = build("1.1.0")

    async def device(server):
        async with Client(server) as client:
            assert (await client.post("inform", {"version": "1.0.0"})).code == codes.UNAUTHORIZED
            await client.login()
            assert (await client.post("inform", {"version": "1.0.0"})).code == codes.CHANGED
            assert (await client.post("inform", b"no JSON")).code == codes.BAD_REQUEST
            nothing = await client.post("request", {"version": "1.0.0"})
            assert (nothing.code, nothing.payload) == (codes.CONTENT, b"")
            observation = client.context.request(client.message(codes.GET, f"/topic/ota/device/upgrade/{PK}/{DN}", observe=0))
            assert (await observation.response).payload == b""
            publish = ("publish", new, "--key", shelf / "digest.pem", "--product", PK, "--url-scheme", "coap", "--state", state)
            assert (await asyncio.to_thread(mpota, *publish)).returncode == 0
            notice = await asyncio.wait_for(anext(aiter(observation.observation)), 5)
            data = json.loads(notice.payload)["data"]
            artifact = await asyncio.wait_for(client.context.request(aiocoap.Message(code=codes.GET, uri=data["url"])).response, 10)
            assert hashlib.sha256(artifact.payload).hexdigest() == data["sign"] and len(artifact.opt.etag) == 8
            block = client.message(codes.POST, f"/topic/ota/device/download/{PK}/{DN}", block2=(2, False, 5))
            linkkit = await client.context.request(block, handle_blockwise=False).response
            assert linkkit.payload == new.read_bytes()[1024:1536] and linkkit.opt.size2 == new.stat().st_size
            assert (await client.post("progress", {"step": "50", "desc": ""})).code == codes.CHANGED
            async with Client(server) as thief:  # the same token from another port
                stolen = await thief.post("progress", {"step": "-1", "desc": ""}, token=client.token)
                assert stolen.code == codes.UNAUTHORIZED
                other = await client.send(codes.POST, f"/topic/ota/device/inform/{PK}/dev02", b"{}")
                assert other.code == codes.UNAUTHORIZED
            assert (await client.post("inform", {"version": "1.1.0"})).code == codes.CHANGED
            assert (await client.send(codes.GET, "/../../etc/passwd")).code == codes.NOT_FOUND

    with serving(state) as (_, server):
        asyncio.run(device(server))
        until(lambda: mpota_json("status", "--state", state)[0]["state"] == "updated")


def test_device_that_asks_is_told_what_stands_now(state, shelf, build):
    """Not what it was to be told a moment ago, when it did not listen."""
    new = build("1.1.0")
    upgrade = f"/topic/ota/device/upgrade/{PK}/{DN}"

    def run(*command):
        assert mpota(*command, "--state", state).returncode == 0

    def publish():
        run("publish", new, "--key", shelf / "digest.pem", "--product", PK, "--url-scheme", "coap")
        until(lambda: mpota_json("status", "--state", state)[0]["state"] == "notified")

    async def device(server):
        async with Client(server) as client:
            await client.login()
            assert (await client.post("inform", {"version": "1.0.0"})).code == codes.CHANGED
            await asyncio.to_thread(publish)
            await asyncio.to_thread(run, "withdraw", "--product", PK)
            assert (await client.send(codes.GET, upgrade)).payload == b""
            await asyncio.to_thread(publish)
            notice = await client.send(codes.GET, upgrade)
            assert json.loads(notice.payload)["data"]["version"] == "1.1.0"

    with serving(state) as (_, server):
        asyncio.run(device(server))


def test_chaos_is_in_what_a_device_asks_for_too(state, shelf, build):
    new = build("1.1.0")
    right = hashlib.sha256(new.read_bytes()).hexdigest()

    def is_right(payload):
        try:
            data = json.loads(payload)["data"]
        except ValueError:
            return False  # none, or half of one
        return (data["sign"], data["size"], data["url"][:5]) == (right, new.stat().st_size, "coap:")

    async def device(server):
        async with Client(server) as client:
            await client.login()
            await client.post("inform", {"version": "1.0.0"})
            command = "publish", new, "--key", shelf / "digest.pem", "--product", PK, "--url-scheme", "coap", "--state", state
            assert (await asyncio.to_thread(mpota, *command)).returncode == 0
            await asyncio.to_thread(until, lambda: mpota_json("status", "--state", state)[0]["state"] == "notified")
            return [is_right((await client.send(codes.GET, f"/topic/ota/device/upgrade/{PK}/{DN}")).payload) for _ in range(20)]

    with serving(state, "--chaos", "1") as (_, server):
        assert 5 < sum(asyncio.run(device(server))) < 20
