"""Peers that nobody here wrote: aiocoap, libcoap (coap-server, coap-client) and openssl s_server, plain and over DTLS; and a bad
network between them and the board."""
# SPDX-License-Identifier: MIT

import asyncio
import concurrent.futures
import contextlib
import hashlib
import json
import os
import re
import select
import shutil
import subprocess
import threading
import time

import aiocoap
import aiocoap.resource
import pytest
from mpota import pki, ports
from mpota.coapserver import CoapServer
from mpota.noise import Noise
from mpota.running import served_folder
from mpota.store import Store

from coap.peer import IDENTITY, fetch, until
from e2e.air import Air

DATA = bytes(i * 13 + i // 253 & 255 for i in range(32768))
BLOCKS = len(DATA) // 1024


def digest(data):
    return hashlib.sha256(data).hexdigest()


class Artifact(aiocoap.resource.Resource):
    """Whole answers: aiocoap cuts them into blocks."""

    async def render_get(self, request):
        return aiocoap.Message(payload=DATA, etag=b"\x07")

    render_post = render_get


class Aiocoap:
    """aiocoap's own server in a thread."""

    def __init__(self):
        self.port = ports.probe_udp("127.0.0.1")
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True).start()
        assert self._ready.wait(10)

    async def _serve(self):
        site = aiocoap.resource.Site()
        site.add_resource(["artifact"], Artifact())
        self._end = asyncio.Event()
        context = await aiocoap.Context.create_server_context(
            site, bind=("127.0.0.1", self.port), transports=["simplesocketserver"]
        )
        self._ready.set()
        await self._end.wait()
        await context.shutdown()

    def close(self):
        self._loop.call_soon_threadsafe(self._end.set)


@contextlib.contextmanager
def program(*words, **options):
    process = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def tool(name):
    path = shutil.which(name)
    assert path, f"{name} is missing: apt-get install libcoap3-bin openssl"
    return path


@contextlib.contextmanager
def libcoap(data, folder, certificates=None):
    """coap-server with `data` put into it by coap-client; gives its ports for CoAP and CoAPS."""
    port = ports.probe_udp("127.0.0.1")
    kind = "openssl" if certificates else "notls"
    tls = ["-c", certificates.server, "-j", certificates.server_key, "-n"] if certificates else []
    with program(tool(f"coap-server-{kind}"), "-A", "127.0.0.1", "-p", port, "-d", "10", *tls):
        (folder / "data").write_bytes(data)
        put = [tool("coap-client-notls"), "-m", "put", "-b", "1024", "-f", folder / "data", f"coap://127.0.0.1:{port}/artifact"]
        time.sleep(0.3)
        subprocess.run([str(word) for word in put], check=True, timeout=20, capture_output=True)
        yield port, port + 1


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return pki.prepare(tmp_path_factory.mktemp("pki"), "127.0.0.1")


@pytest.fixture(scope="module")
def aiocoap_server():
    server = Aiocoap()
    yield server
    server.close()


def url(port, scheme="coap"):
    return f"{scheme}://127.0.0.1:{port}/artifact"


def test_aiocoap_serves_us(aiocoap_server):
    found = fetch(url=url(aiocoap_server.port), size=len(DATA))
    assert found["sha256"] == digest(DATA) and found["sent"] == found["received"] == BLOCKS


def test_libcoap_serves_us(tmp_path):
    with libcoap(DATA, tmp_path) as (port, _):
        found = fetch(url=url(port), size=len(DATA))
    assert found["sha256"] == digest(DATA) and found["sent"] == found["received"] == BLOCKS


def test_libcoap_serves_us_over_dtls(tmp_path, certificates):
    with libcoap(DATA, tmp_path, certificates) as (_, port):
        found = fetch(url=url(port, "coaps"), size=len(DATA), ca=pki.certificate_der(certificates.ca).hex())
    assert found.get("sha256") == digest(DATA), found


def test_dtls_server_that_another_ca_signed_is_refused(tmp_path, certificates):
    stranger = pki.prepare(tmp_path, "127.0.0.1")
    with libcoap(DATA[:100], tmp_path, certificates) as (_, port):
        found = fetch(url=url(port, "coaps"), size=100, ca=pki.certificate_der(stranger.ca).hex())
    assert found["error"] == 1044 and found["received"] == 0


def test_dtls_server_with_another_name_is_refused(tmp_path, certificates):
    with libcoap(DATA[:100], tmp_path, certificates) as (_, port):
        relay = Air(("127.0.0.3", 0), ("127.0.0.1", port))
        found = fetch(url=f"coaps://127.0.0.3:{relay.address[1]}/artifact", size=100, ca=pki.certificate_der(certificates.ca).hex())
        relay.close()
    assert found["error"] == 1044 and found["received"] == 0


@contextlib.contextmanager
def forging(target):
    """A relay's port, through which an empty datagram, as anybody can forge it, comes before each of the server's. asyncio sends none."""
    near, far = ports.listen_udp("127.0.0.1", 0), ports.listen_udp("127.0.0.1", 0)
    far.connect(("127.0.0.1", target))
    board, end = None, threading.Event()

    def relay():
        nonlocal board
        while not end.is_set():
            for one in select.select((near, far), (), (), 0.1)[0]:
                data, peer = one.recvfrom(2048)
                if one is near:
                    board = peer
                    far.send(data)
                else:
                    near.sendto(b"", board)
                    near.sendto(data, board)

    thread = threading.Thread(target=relay)
    thread.start()
    yield near.getsockname()[1]
    end.set()
    thread.join()
    near.close()
    far.close()


@pytest.mark.parametrize("scheme", ["coap", "coaps"])
def test_empty_datagram_is_no_end(scheme, tmp_path, certificates):
    with libcoap(DATA[:5000], tmp_path, certificates) as served, forging(served[scheme == "coaps"]) as port:
        found = fetch(url=url(port, scheme), size=5000, ca=pki.certificate_der(certificates.ca).hex(), retries=0)
    assert found.get("sha256") == digest(DATA[:5000]), found


def test_openssl_reads_what_we_send_over_dtls(certificates):
    """s_server knows no CoAP: it shows our request, and we answer it byte by byte through its standard input."""
    port = ports.probe_udp("127.0.0.1")
    server = subprocess.Popen(
        [tool("openssl"), "s_server", "-quiet", "-dtls1_2", "-listen", "-accept", f"127.0.0.1:{port}", "-cert", certificates.server,
         "-key", certificates.server_key, "-naccept", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def answer():
        request = b""
        while b"artifact" not in request or len(request) < 27:
            request += os.read(server.stdout.fileno(), 2048)
        start = next(i for i in range(len(request)) if request[i : i + 2] == b"\x48\x01")
        head = b"\x68\x45" + request[start + 2 : start + 12]
        server.stdin.write(head + b"\xffhello")
        server.stdin.flush()

    try:
        threading.Thread(target=answer, daemon=True).start()
        time.sleep(0.3)
        found = fetch(url=url(port, "coaps"), size=5, ca=pki.certificate_der(certificates.ca).hex(), ack_ms=2000, retries=0)
    finally:
        server.kill()
        server.wait()
    assert found.get("sha256") == digest(b"hello"), found


BAD = [(rate, judge) for rate in (0, 5, 30) for judge in ("aiocoap", "libcoap", "libcoap over DTLS")]


@pytest.mark.parametrize("rate,judge", BAD, ids=[f"{rate} %, {judge}" for rate, judge in BAD])
def test_transfer_finishes_on_a_bad_network(rate, judge, aiocoap_server, tmp_path, certificates, record_property, capsys):
    """Drops, doubles and delays, each at the same rate, both ways; late datagrams are overtaken by later ones."""
    with contextlib.ExitStack() as stack:
        port = aiocoap_server.port
        if judge != "aiocoap":
            port = stack.enter_context(libcoap(DATA, tmp_path, certificates if "DTLS" in judge else None))["DTLS" in judge]
        share = rate / 100
        air = Air(("127.0.0.1", 0), ("127.0.0.1", port), Noise(rate, share, share, share))
        stack.callback(air.close)
        scheme = "coaps" if "DTLS" in judge else "coap"
        ca = pki.certificate_der(certificates.ca).hex()
        start = time.monotonic()
        found = fetch(url=url(air.address[1], scheme), size=len(DATA), ca=ca, timeout=400, ack_ms=50 if rate else 2000, retries=50)
    assert found.get("sha256") == digest(DATA), found
    if rate:
        assert all(air.noise.counts[kind] for kind in ("drop", "duplicate", "delay"))
    passed, ideal = air.noise.counts["passed"], 2 * BLOCKS
    with capsys.disabled():
        print(f"\ncoap {judge}, {rate} %: {passed} datagrams for {BLOCKS} KiB, {passed / ideal:.2f} times the ideal {ideal}, "
              f"{time.monotonic() - start:.1f} s")  # fmt: skip
    if not rate and "DTLS" not in judge:
        assert passed == ideal


@pytest.fixture
def ours(tmp_path, certificates):
    """Our server, which knows one device and one artifact."""
    store = Store(tmp_path, create=True)
    store.add_device(IDENTITY[0], IDENTITY[1], IDENTITY[2])
    store.close()
    served_folder(tmp_path).mkdir()
    (served_folder(tmp_path) / f"{digest(DATA)}.bin").write_bytes(DATA)
    nothing_new = concurrent.futures.Future()
    nothing_new.set_result(b"")
    server = CoapServer(tmp_path, "127.0.0.1", lambda topic, payload: nothing_new, certificates)
    server.start()
    yield server
    server.stop()


def coap_client(*words, kind="notls", **options):
    command = [str(word) for word in (tool(f"coap-client-{kind}"), *words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


@pytest.mark.parametrize("tls", [False, True], ids=["coap", "coaps"])
def test_libcoaps_client_fetches_from_us(ours, tmp_path, certificates, tls):
    out = tmp_path / "out"
    uri = f"coap{'s' if tls else ''}://127.0.0.1:{ours.tls_port if tls else ours.port}/{digest(DATA)}.bin"
    trust = ["-R", certificates.ca] if tls else []
    client = coap_client("-m", "get", "-b", "512", "-B", "20", "-o", out, *trust, uri, kind="openssl" if tls else "notls")
    said, _ = client.communicate(timeout=30)
    assert client.returncode == 0 and out.read_bytes() == DATA, said


def test_libcoaps_client_logs_in_and_observes(ours):
    """Its token is good for its port only, so both of its runs have the same."""
    base, port = f"coap://127.0.0.1:{ours.port}", ports.probe_udp("127.0.0.1")
    pk, dn, _ = IDENTITY
    login = {"productKey": pk, "deviceName": dn, "clientId": f"{pk}.{dn}", "sign": "da206634180ecd85cd501381272664ac"}
    said, _ = coap_client("-p", port, "-m", "post", "-t", "50", "-e", json.dumps(login), f"{base}/auth").communicate(timeout=30)
    token = json.loads(said[said.index("{") :])["token"]
    upgrade = f"/topic/ota/device/upgrade/{pk}/{dn}"
    client = coap_client("-p", port, "-s", "60", "-w", "-O", f"2088,{token}", base + upgrade, bufsize=1)
    try:
        until(lambda: ours.observers == 1)
        for n in range(3):
            ours.push(upgrade.removeprefix("/topic"), b"notice %d" % n)
        heard = ""
        while "notice 2" not in heard:
            heard += client.stdout.readline()
    finally:
        client.kill()
        client.communicate()
    assert [f"notice {n}" in heard for n in range(3)] == [True] * 3


def test_no_library_of_ours_answers_for_a_judge():
    """libcoap and openssl are what their own programs say they are."""
    done = subprocess.run([tool("coap-client-openssl")], capture_output=True, text=True, check=False)
    assert re.search(r"coap-client-openssl v4\.\d", done.stdout + done.stderr)
