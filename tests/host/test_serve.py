"""`mpota serve` from end to end: real mosquitto, TLS, a device that speaks Linkkit."""
# SPDX-License-Identifier: MIT

import contextlib
import fcntl
import hashlib
import io
import json
import os
import pty
import re
import resource
import signal
import socket
import ssl
import subprocess
import sys
import termios
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mpota import image, messages, rules, running, storage
from mpota.broker import Broker
from mpota.cli import publish as cli_publish
from mpota.cli.common import OUTCOME
from mpota.errors import ToolError
from mpota.running import Address, artifact_url
from mpota.server import Ports, Server
from mpota.store import Artifact, Store

from .helpers import DN, PK, SECRET, FakeDevice, mpota, mpota_json, mpota_process, serving, until


@pytest.fixture
def state(tmp_path):
    """A state with one device, in a folder with a space in its name."""
    state = tmp_path / "the state"
    done = mpota("device", "add", PK, DN, "--secret", SECRET, "--state", state)
    assert done.returncode == 0, done.stderr
    return state


@pytest.fixture
def device():
    device = FakeDevice()
    yield device
    device.close()


def status(state):
    return mpota_json("status", "--state", state)


def publish(state, shelf, path, *options, run=mpota):
    return run("publish", path, "--key", shelf / "digest.pem", "--product", PK, "--state", state, *options)


def fetch(server, url, start=0):
    context = ssl.create_default_context(cafile=server["ca"])
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"})
    with urllib.request.urlopen(request, timeout=5, context=context) as response:
        assert response.status == 206
        return response.read()


def test_update_from_inform_to_inform(shelf, build, state, device):
    new = build("1.1.0")
    with serving(state) as (_, server):
        assert device.connect(server)
        device.subscribe()
        device.inform("1.0.0")
        until(lambda: status(state)[0]["version"] == "1.0.0")
        outcome = {}
        waiting = threading.Thread(target=lambda: outcome.update(done=publish(state, shelf, new, "--wait", "--json", run=mpota_process)))
        waiting.start()
        data = device.upgrade()
        assert (data["version"], data["size"], data["signMethod"]) == ("1.1.0", new.stat().st_size, "SHA256")
        assert data["url"].startswith(f"https://127.0.0.1:{server['https_port']}/")
        device.progress(0)
        artifact = fetch(server, data["url"])
        assert hashlib.sha256(artifact).hexdigest() == data["sign"]
        assert fetch(server, data["url"], 1000) == new.read_bytes()[1000:]
        device.progress(100)
        until(lambda: status(state)[0]["step"] == 100)
        assert status(state)[0]["state"] == "running"
        device.inform("1.1.0")
        waiting.join(10)
        assert outcome["done"].returncode == 0, outcome["done"].stderr
        expected = {"device": f"{PK}/{DN}", "version": "1.1.0", "target": "1.1.0", "state": "updated", "step": 100, "desc": ""}
        (row,) = json.loads(outcome["done"].stdout)
        assert row == {**expected, "since": row["since"]}
        assert abs((datetime.now(UTC) - datetime.fromisoformat(row["since"])).total_seconds()) < 60
        assert re.search(rf"{PK}/{DN} .*100%.* updated", outcome["done"].stderr), "the bar ends full"
    assert status(state) == [row]


def test_refused_update_fails_with_its_reason_and_is_not_pushed_again(shelf, build, state, device):
    new = build("1.1.0")
    publish(state, shelf, new, "--url-scheme", "http", "--digest", "md5")
    with serving(state) as (_, server):
        assert device.connect(server, tls=False)
        device.subscribe()
        device.inform("1.0.0")
        data = device.upgrade()
        assert data["url"].startswith(f"http://127.0.0.1:{server['http_port']}/")
        assert data["md5"] == hashlib.md5(new.read_bytes()).hexdigest()
        device.progress(-1, "1025")
        failed = until(lambda: [row for row in status(state) if row["state"] == "failed"])
        assert failed[0]["desc"] == "1025 digestsign is wrong"
        device.inform("1.0.0")
        device.inform("1.0.0")
        device.subscribe(f"/ota/device/request/{PK}/{DN}")
        device.request("1.0.0")
        answers = [device.inbox.get(timeout=5) for _ in range(2)]  # its own request, and the answer
        assert {"code": "1000", "data": {}, "id": "7", "message": "success"} in [json.loads(m.payload) for m in answers]
        assert device.inbox.empty()


def test_publish_wait_is_status_1_when_a_device_fails_or_is_silent(shelf, build, state, device):
    done = publish(state, shelf, build("1.1.0"), "--wait", "--timeout", "0.3")
    assert done.returncode == 1
    assert "no server is running" in done.stderr
    assert "waiting" in done.stdout


def told(store):
    """The state of each device's update."""
    return {update.dn: update.state for update in store.targets()}


def test_publish_first_holds_the_others_back_until_these_run_it(shelf, build, state, device):
    mpota("device", "add", PK, "dev02", "--secret", SECRET, "--state", state)
    mpota("device", "add", PK, "dev03", "--state", state)
    store, new, other = Store(state), build("1.1.0"), FakeDevice(dn="dev02")
    done = publish(state, shelf, new, "--first", "1")
    assert (done.returncode, done.stdout, told(store)) == (1, "", {})
    assert f"{new}: no device says that it runs what 1.1.0 replaces" in done.stderr
    publish(state, shelf, build("1.0.1"))  # another artifact, that none of the first runs
    with serving(state) as (process, server), contextlib.closing(other):
        for one in (device, other):
            assert one.connect(server)
            one.subscribe()
            one.inform("1.0.0")
            assert one.upgrade()["version"] == "1.0.1"
        shown = publish(state, shelf, new, "--first", "1", "--url-scheme", "http").stdout
        assert "held" in shown
        assert device.upgrade()["version"] == "1.1.0"
        other.request("1.0.0")
        other.progress(-1, "1020")
        assert told(store) == {DN: "notified", "dev02": "held", "dev03": "held"} and other.inbox.empty()
        outcome = {}
        waiting = threading.Thread(target=lambda: outcome.update(done=publish(state, shelf, new, "--first", "1", "--wait", run=mpota_process)))
        waiting.start()
        assert device.upgrade()["url"].startswith("https:")
        device.inform("1.1.0")
        data = other.upgrade()
        assert (data["version"], data["sign"]) == ("1.1.0", hashlib.sha256(new.read_bytes()).hexdigest())
        assert told(store) == {DN: "updated", "dev02": "notified", "dev03": "waiting"}
        other.inform("1.1.0")
        store.remove_device(PK, "dev03")
        waiting.join(10)
        assert outcome["done"].returncode == 0, outcome["done"].stderr
        assert any("1.1.0 runs where it was told first; 2 more are told" in line for line in process.stdout)


def test_what_is_held_stays_so_if_one_of_the_first_fails(shelf, build, state, device):
    mpota("device", "add", PK, "dev02", "dev03", "dev04", "dev05", "--state", state)
    store, new = Store(state), build("1.1.0")
    for dn, version in ((DN, "1.2.0"), ("dev02", "1.0.0"), ("dev03", "1.0.0"), ("dev04", "0.9.0"), ("dev05", "1.1.0+0")):
        store.set_version(PK, dn, version)
    publish(state, shelf, new, "--first", "2")
    assert told(store) == {DN: "held", "dev02": "waiting", "dev03": "held", "dev04": "waiting", "dev05": "waiting"}, "each version has its turn"
    store.set_version(PK, DN, "1.0.0")
    publish(state, shelf, new, "--first", "1")
    assert told(store) == {DN: "waiting", "dev05": "waiting"} | {dn: "held" for dn in ("dev02", "dev03", "dev04")}
    with serving(state) as (_, server):
        assert device.connect(server)
        device.subscribe()
        device.upgrade()
        outcome = {}
        waiting = threading.Thread(target=lambda: outcome.update(done=publish(state, shelf, new, "--first", "1", "--wait", run=mpota_process)))
        waiting.start()
        device.upgrade()
        device.progress(-1, "1025")
        waiting.join(10)
        assert outcome["done"].returncode == 1
        assert mpota("withdraw", "--device", f"{PK}/dev02", "--state", state).returncode == 0
        mpota("publish", build("1.2.0"), "--key", shelf / "digest.pem", "--device", f"{PK}/dev03", "--state", state)
        until(lambda: told(store) == {DN: "failed", "dev02": "withdrawn", "dev03": "notified", "dev04": "held", "dev05": "updated"})
    assert [update.state for update in store.history(PK, "dev04")] == ["held", "replaced", "replaced"]
    assert mpota("status", "--state", state).stdout.splitlines()[-1] == "5 devices, 1 failed, 1 held, 1 notified, 1 updated, 1 withdrawn"


@pytest.mark.parametrize("how", ["remove", "withdraw", "publish"])
def test_what_is_held_is_withdrawn_with_what_one_of_the_first_was_told(shelf, build, state, how):
    mpota("device", "add", PK, "dev02", "dev03", "dev04", "--state", state)
    store, new, key = Store(state), build("1.1.0"), shelf / "digest.pem"
    for dn in (DN, "dev02", "dev03", "dev04"):
        store.set_version(PK, dn, "1.0.0")
    publish(state, shelf, new, "--first", "2")
    mpota("publish", build("1.2.0"), "--key", key, "--device", f"{PK}/dev03", "--state", state)
    assert told(store) == {DN: "waiting", "dev02": "waiting", "dev03": "waiting", "dev04": "held"}, "one that is held may be told otherwise"
    store.save(replace(store.latest(PK, DN), state="failed"))
    if how == "remove":
        mpota("device", "remove", PK, DN, "--state", state)
    elif how == "withdraw":
        done = mpota_json("withdraw", "--device", f"{PK}/dev02", "--state", state)
        assert [row["device"] for row in done] == [f"{PK}/dev02", f"{PK}/dev04"]
    else:
        mpota("publish", build("1.2.0"), "--key", key, "--device", f"{PK}/{DN}", "--state", state)
    assert told(store)["dev04"] == "withdrawn"
    assert store.latest(PK, "dev03").version == "1.2.0"


def test_none_is_held_where_there_is_none_left_to_try(shelf, build, state):
    mpota("device", "add", PK, "dev02", "--state", state)
    store = Store(state)
    store.set_version(PK, DN, "1.1.0")
    assert publish(state, shelf, build("1.1.0"), "--first", "1").returncode == 0
    assert told(store) == {DN: "waiting", "dev02": "waiting"}


def test_device_added_while_serving_is_let_in_and_others_stay(state, device):
    with serving(state) as (_, server):
        assert device.connect(server)
        device.subscribe()
        late = FakeDevice(dn="dev02", secret="s2")
        assert not late.connect(server)
        late.close()
        assert mpota("device", "add", PK, "dev02", "--secret", "s2", "--state", state).returncode == 0

        def let_in():
            late = FakeDevice(dn="dev02", secret="s2")
            try:
                return late.connect(server)
            finally:
                late.close()

        until(let_in)
        device.inform("1.0.0")
        until(lambda: status(state)[0]["version"] == "1.0.0")
        assert device.client.is_connected()


def is_let_in(server):
    one = FakeDevice()
    try:
        return one.connect(server)
    finally:
        one.close()


def test_device_that_is_removed_is_let_in_no_more(shelf, build, state, device):
    publish(state, shelf, build("1.1.0"))
    with serving(state) as (_, server):
        assert device.connect(server)
        device.inform("1.0.0")
        until(lambda: status(state)[0]["version"] == "1.0.0")
        assert mpota("device", "remove", PK, DN, "--state", state).stdout == f"{PK}/{DN}: removed\n"
        until(lambda: not is_let_in(server))
        assert "no such device" in mpota("device", "remove", PK, DN, "--state", state).stderr
        mpota("device", "add", PK, DN, "--secret", SECRET, "--state", state)
        until(lambda: is_let_in(server))
    assert [(row["version"], row["target"]) for row in status(state)] == [(None, None)]


def test_wrong_secret_is_not_let_in(state):
    with serving(state) as (_, server):
        stranger = FakeDevice(secret="wrong")
        assert not stranger.connect(server)
        stranger.close()


def test_operator_learns_of_refused_logins_and_no_file_of_them(state, device):
    with serving(state) as (process, server):
        for _ in range(3):
            stranger = FakeDevice(secret="wrong")
            assert not stranger.connect(server)
            stranger.close()
        assert device.connect(server)
        device.inform("1.0.0")
        until(lambda: status(state)[0]["version"] == "1.0.0")
        process.send_signal(signal.SIGTERM)
        events = [json.loads(line) for line in process.communicate(timeout=20)[0].splitlines()]
        (told,) = [event["text"] for event in events if event["device"] == "mosquitto"]  # once a minute
        assert re.fullmatch(r"refused \d logins?: unknown device or wrong secret", told)
        assert sorted(path.name for path in (state / "broker").iterdir()) == ["acl", "mosquitto.conf", "passwords"]


@pytest.mark.parametrize("name", ["Reloading config.", "Error: disk on fire", "disconnected, not authorised. 1"])
def test_no_login_name_is_mosquittos_own_word(tmp_path, name):
    """2.0.21 writes it into its log, 2.0.11 does not."""
    broker = Broker(tmp_path / "broker", "127.0.0.1", None)
    broker._error = ""
    broker._read(io.StringIO(f"1700000000: Client {name} closed its connection.\n1700000000: Sending CONNACK to {name} (0, 5)\n"))
    assert (broker._error, broker.refused, broker._reread.is_set()) == ("", 0, False)


def test_device_is_let_in_when_the_service_hears_it(state):
    said, before, after = [], [], []

    def log_in(port):
        device = FakeDevice()
        try:
            return device.connect({"host": "127.0.0.1", "mqtt_port": port}, tls=False)
        finally:
            device.close()

    class Early(Server):
        def _connect(self, stack):
            before.append(log_in(self._broker.port))
            return super()._connect(stack)

    def on_ready(address):
        after.append(log_in(address.mqtt_port))
        server.stop()

    server = Early(state, "127.0.0.1", "127.0.0.1", said.append)
    server.run(Ports(), on_ready)
    assert (before, after, said) == ([False], [True], [])


def test_broker_that_ends_while_the_service_logs_in_is_one_line_at_once(state):
    class Stopped(Server):
        def _connect(self, stack):
            broker = self._broker._process.pid
            os.kill(broker, signal.SIGSTOP)
            threading.Timer(0.5, os.kill, (broker, signal.SIGKILL)).start()
            return super()._connect(stack)

    start = time.monotonic()
    with pytest.raises(ToolError, match="ended with status -9"):
        Stopped(state, "127.0.0.1", "127.0.0.1", None).run(Ports(), None)
    assert time.monotonic() - start < 5


def test_nothing_is_lost_while_the_service_is_slow(state, device):
    mpota("device", "add", PK, "dev02", "--secret", "s2", "--state", state)
    with serving(state) as (process, server):
        other = FakeDevice(dn="dev02", secret="s2")
        assert device.connect(server) and other.connect(server)
        process.send_signal(signal.SIGSTOP)
        try:
            for _ in range(1500):
                other.progress(1)
            device.inform("1.0.0")
        finally:
            process.send_signal(signal.SIGCONT)
            other.close()
        until(lambda: status(state)[0]["version"] == "1.0.0")


def test_address_of_version_6_has_brackets_in_urls():
    address = Address("fd00::1", 1, 2, 3, 4, 5, 6, "ca", 7)
    artifact = Artifact(1, "x.bin", 1, "1.0.0", "SHA256", "", "")
    assert artifact_url(address, artifact, "https") == "https://[fd00::1]:4/x.bin"


def test_device_neither_hears_nor_speaks_for_another(shelf, build, state, device):
    mpota("device", "add", PK, "dev02", "--secret", "s2", "--state", state)
    with serving(state) as (_, server):
        other = FakeDevice(dn="dev02", secret="s2")
        assert other.connect(server)
        other.subscribe("#")
        other.dn = DN
        other.inform("6.6.6")
        assert device.connect(server)
        device.subscribe()
        device.inform("1.0.0")
        until(lambda: status(state)[0]["version"] == "1.0.0")
        publish(state, shelf, build("1.1.0"))
        assert device.upgrade()["version"] == "1.1.0"
        assert other.inbox.empty()
        other.close()
    assert [row["version"] for row in status(state)] == ["1.0.0", None]


def test_device_takes_nobodys_place_by_its_client_id(state, device):
    mpota("device", "add", PK, "dev02", "--secret", "s2", "--state", state)
    with serving(state) as (_, server):
        assert device.connect(server)
        device.inform("1.0.0")
        until(lambda: status(state)[0]["version"] == "1.0.0")
        for name in ("mpota-service", device.client._client_id.decode()):
            other = FakeDevice(dn="dev02", secret="s2")
            other.client._client_id = name.encode()
            assert other.connect(server)
            device.inform(version := f"1.{len(name)}.0")
            until(lambda version=version: status(state)[0]["version"] == version)
            assert device.client.is_connected()
            other.close()


def test_message_that_no_device_sends_is_not_passed_on(state, device):
    with serving(state) as (process, server):
        assert device.connect(server)
        device.client.publish(messages.topic("inform", PK, DN), b'{"params":{"version":"6.6.6"}}' + b" " * 200_000, 1)
        again = FakeDevice()  # the broker may have ended the other connection
        assert again.connect(server)
        again.inform("1.0.0")
        assert "runs 1.0.0" in json.loads(process.stdout.readline())["text"]
        again.close()


def test_broker_keeps_nothing_for_a_device(state, device):
    with serving(state) as (_, server):
        assert device.connect(server)
        with contextlib.suppress(RuntimeError):  # the broker may end the connection
            device.client.publish(topic := messages.topic("request", PK, DN), b"kept", 1, retain=True).wait_for_publish(5)
        again = FakeDevice()
        assert again.connect(server)
        again.subscribe(topic)
        again.client.publish(topic, b"new", 1)
        assert again.inbox.get(timeout=5).payload == b"new"
        again.close()


def test_secrets_are_the_owners_alone(tmp_path):
    state = tmp_path / "made before"
    state.mkdir(mode=0o755)
    assert mpota("device", "add", PK, DN, "--state", state).returncode == 0
    assert (state / "mpota.db").stat().st_mode & 0o777 == 0o600
    (state / "mpota.db").chmod(0o644)  # as earlier versions made it
    assert mpota("status", "--state", state).returncode == 0
    assert (state / "mpota.db").stat().st_mode & 0o777 == 0o600


def test_version_of_any_letters_is_told_wherever_output_goes(state, device):
    command = [sys.executable, "-m", "mpota", "serve", "--state", str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONIOENCODING": "latin-1"}) as process:
        process.stdout.readline()
        assert device.connect(json.loads((state / "server.json").read_text()))
        device.inform("\u03a9")
        assert rb"runs \u03a9" in process.stdout.readline()
        process.terminate()


@pytest.fixture
def few_files():
    """The usual limit, which what is started inherits."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_server_takes_more_peers_than_a_process_usually_has_files(few_files, state):
    with serving(state) as (process, server):

        def one_more():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
                peer.sendto(b"\x40\x01\0\1\xb1x", (server["host"], server["coap_port"]))  # GET /x
            return len(os.listdir(f"/proc/{process.pid}/fd")) > 1024

        deadline = time.monotonic() + 30
        while not one_more():
            assert time.monotonic() < deadline
        with socket.create_connection((server["host"], server["http_port"])) as http:
            http.settimeout(5)
            http.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
            assert http.recv(100).startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_server_and_its_broker(state, number):
    with serving(state) as (process, server):
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
        for port in ("mqtt_port", "mqtts_port", "http_port", "https_port"):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", server[port]), 1)
    assert not (state / "server.json").exists()


def broker_of(process):
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # a process that has ended meanwhile
            number, name, _, parent = stat.read_text().split()[:4]
            if name == "(mosquitto)" and int(parent) == process.pid:
                return int(number)
    raise AssertionError("no broker")


def test_dead_broker_ends_the_server_with_one_line(state):
    with serving(state) as (process, _):
        os.kill(broker_of(process), signal.SIGKILL)
        assert process.wait(10) == 1
        assert process.stderr.read() == "mpota: mosquitto: ended with status -9\n"


def test_registration_cut_in_mid_body_is_no_news(state):
    with serving(state) as (process, server):
        context = ssl.create_default_context(cafile=server["ca"])
        for body in (b"", b"productKey=a1"):
            with context.wrap_socket(socket.create_connection((server["host"], server["https_port"])), server_hostname=server["host"]) as sock:
                sock.sendall(b"POST /auth/register/device HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + body)
        with pytest.raises(urllib.error.HTTPError, match="404"):  # it answers still
            urllib.request.urlopen(f"https://127.0.0.1:{server['https_port']}/x", context=context, timeout=5)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=20) == ("", "")


def test_server_without_a_socket_left_answers_who_comes_later(state):
    with serving(state) as (process, server):
        hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.settimeout(0.5)
            peer.connect((server["host"], server["coap_port"]))
            used = os.listdir(f"/proc/{process.pid}/fd")
            free = next(n for n in range(len(used) + 1) if str(n) not in used)
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (free, hard))
            ask = b"\x40\x01\0\1\xb1x"  # GET /x
            for _ in range(3):
                peer.send(ask)
                with pytest.raises(TimeoutError):
                    peer.recv(100)
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (1024, hard))
            peer.send(ask)
            assert peer.recv(100)[1] == 0x84
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=20) == ("", "")


@contextlib.contextmanager
def full_disk(process):
    """For another process, while the context lasts."""
    hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, hard))
    yield
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))


def test_disk_that_is_full_for_a_while_is_one_line_and_loses_nothing(state, device):
    with serving(state) as (process, server):
        assert device.connect(server)
        with full_disk(process):
            device.inform("1.0.0")
            event = json.loads(process.stdout.readline())
            assert event["device"] == "server" and event["text"].startswith(f"{state}/mpota.db: ")
            assert mpota("device", "add", PK, "dev02", "--state", state).returncode == 0
            time.sleep(1)
        assert json.loads(process.stdout.readline())["text"] == "runs 1.0.0"
        assert json.loads(process.stdout.readline())["text"] == "knows 2 devices"
        assert status(state)[0]["version"] == "1.0.0"


def test_fault_that_stays_ends_the_server(state):
    code = "from mpota import cli, server; server.FAULT_S = 1; cli.main()"
    with subprocess.Popen([sys.executable, "-c", code, "serve", "--state", str(state)], stderr=subprocess.PIPE, text=True) as process:
        until(lambda: (state / "server.json").exists())
        (state / "mpota.db").write_bytes(b"no database" * 1000)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 1 and re.fullmatch(rf"[^\n]*{re.escape(str(state))}/mpota.db: [^\n]+\n", said)


def test_server_whose_log_is_full_goes_on(state, device, tmp_path):
    command = [sys.executable, "-m", "mpota", "serve", "--state", str(state)]
    with open(tmp_path / "log", "w") as log, subprocess.Popen(command, stdout=log, stderr=subprocess.PIPE) as process:
        try:
            until(lambda: (state / "server.json").exists())
            assert device.connect(json.loads((state / "server.json").read_text()))
            with full_disk(process):
                device.inform("1.0.0")
                time.sleep(1)
            until(lambda: status(state)[0]["version"] == "1.0.0")
        finally:
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (0, b"")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_killed_server_leaves_no_broker(state):
    with serving(state) as (process, server):
        process.kill()
        process.wait(10)

        def refused():
            with socket.socket() as sock:
                return sock.connect_ex(("127.0.0.1", server["mqtt_port"])) != 0

        until(refused)
    with serving(state) as (_, server):  # what it left behind does not matter
        assert server["pid"] != process.pid


def test_second_server_on_one_state_is_refused(state):
    with serving(state):
        done = mpota_process("serve", "--state", state)
        assert (done.returncode, done.stderr) == (1, f"mpota: {state}: another server runs on this state\n")


def test_who_asks_whether_a_server_runs_is_none(state):
    (state / "server.json").write_text("{}")
    with open(state / "server.lock", "ab") as asking:
        storage.lock(asking, fcntl.LOCK_SH)
        assert not running.is_running(state)
        threading.Timer(0.3, asking.close).start()
        with running.only_server(state):
            assert running.is_running(state)


@pytest.mark.parametrize("option", ["--mqtt-port", "--mqtts-port", "--http-port", "--https-port"])
def test_taken_port_is_one_line(state, option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = mpota_process("serve", "--state", state, option, str(port))
    assert (done.returncode, done.stderr) == (1, f"mpota: 127.0.0.1:{port}: port is taken\n")


def test_given_port_is_used(state):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with serving(state, "--mqtts-port", str(port)) as (_, server):
        assert server["mqtts_port"] == port


def test_host_is_what_urls_and_certificate_say(shelf, build, state, device):
    publish(state, shelf, build("1.1.0"))
    with serving(state, "--bind", "0.0.0.0", "--host", "localhost") as (_, server):
        assert server["host"] == "localhost"
        assert device.connect(server)
        device.subscribe()
        device.inform("1.0.0")
        url = device.upgrade()["url"]
        assert url.startswith("https://localhost:")
        assert image.parse(fetch(server, url), url).version == image.Version(1, 1, 0)


def test_publish_names_devices_and_artifact_faults(shelf, build, state, tmp_path):
    good = build("1.1.0")
    cut = tmp_path / "cut.bin"
    cut.write_bytes(good.read_bytes()[:-1])
    cases = [
        ([good, "--device", f"{PK}/nobody"], f"{PK}/nobody: no such device"),
        ([good, "--device", DN], f"{DN}: not of the form PK/DN"),
        ([good, "--product", "other"], "other: no device"),
        ([cut, "--product", PK], f"{cut}: cut short"),
        ([tmp_path / "none", "--product", PK], f"{tmp_path}/none: No such file or directory"),
    ]
    for arguments, reason in cases:
        done = mpota("publish", *arguments, "--key", shelf / "digest.pem", "--state", state)
        assert done.returncode == 1
        assert done.stderr.startswith(f"mpota: {reason}"), done.stderr
        assert done.stderr.count("\n") == 1
    assert status(state)[0]["target"] is None
    assert mpota("publish", good, "--key", shelf / "digest.pem", "--state", state).returncode == 2


def test_publish_that_waits_shows_many_devices_in_one_bar():
    shown = []

    class Progress:
        def add_task(self, words, total, state):
            return words, total

        def update(self, task, completed, state):
            shown.append((*task, completed, state))

    show = cli_publish._together(Progress(), 4)
    for number, state in ((1, "waiting"), (2, "notified"), (3, "waiting"), (1, "running"), (4, "held"), (2, "failed"), (1, "updated")):
        show(rules.Update(number, PK, DN, 1, "1.1.0", "https", state))
    assert shown[-1] == ("4 devices", 4, 2, "1 failed, 1 held, 1 updated, 1 waiting")


def test_publish_to_a_list_reaches_each_device_once(shelf, build, state):
    mpota("device", "add", PK, "dev02", "--state", state)
    names = [f"--device={PK}/{DN}", f"--device={PK}/dev02", f"--device={PK}/{DN}"]
    done = mpota("publish", build("1.1.0"), "--key", shelf / "digest.pem", "--state", state, *names, "--json")
    assert [row["device"] for row in json.loads(done.stdout)] == [f"{PK}/{DN}", f"{PK}/dev02"]


def test_withdraw_and_status_tell_which_devices(shelf, build, state):
    publish(state, shelf, build("1.1.0"))
    mpota("device", "add", PK, "dev02", "--state", state)
    assert mpota("withdraw", "--state", state).returncode == 2
    assert [row["device"] for row in mpota_json("withdraw", "--product", PK, "--state", state)] == [f"{PK}/{DN}"]
    assert mpota_json("withdraw", "--product", PK, "--state", state) == []
    assert [row["device"] for row in mpota_json("status", "--only", "withdrawn", "--state", state)] == [f"{PK}/{DN}"]
    assert mpota("status", "--state", state).stdout.splitlines()[-1] == "2 devices, 1 withdrawn, 1 without a target"


def test_devices_are_added_and_removed_all_or_none(state):
    done = mpota("device", "add", PK, "dev02", DN, "--state", state)
    assert f"{PK}/{DN}: device is there already" in done.stderr
    assert [row["device"] for row in status(state)] == [f"{PK}/{DN}"]
    added = mpota_json("device", "add", PK, "dev02", "dev_3", "dev02", "--state", state)
    assert [row["dn"] for row in added] == ["dev02", "dev_3"]
    assert added[0]["secret"] != added[1]["secret"] and added[0]["product_secret"] == added[1]["product_secret"]
    assert mpota("device", "add", PK, "dev04", "dev05", "--secret", "s", "--state", state).returncode == 2
    shown = mpota("device", "add", PK, "dev04", "dev_5", "--state", state).stdout.splitlines()
    assert shown[0] == f"{PK}: product secret {added[0]['product_secret']}"
    assert shown[2] == f"{PK}/dev_5: secret {mpota_json('device', 'show', PK, 'dev_5', '--state', state)['secret']}"
    assert mpota("device", "remove", PK, DN, "nobody", "--state", state).returncode == 1
    assert mpota("device", "remove", PK, "dev02", "dev04", "dev02", "--state", state).stdout == f"{PK}/dev02: removed\n{PK}/dev04: removed\n"
    assert [row["device"] for row in status(state)] == [f"{PK}/{name}" for name in (DN, "dev_3", "dev_5")]


def test_times_are_told_and_asked_for_in_units(shelf, build, state):
    mpota("device", "add", PK, "dev02", "--state", state)
    store, new = Store(state), build("1.1.0")
    store.set_version(PK, DN, "1.0.0")
    assert publish(state, shelf, new, "--soak", "1h").returncode == 2
    for words, seconds in (("90", 90), ("90s", 90), ("30m", 1800), ("12h", 43200), ("2d", 172800)):
        assert publish(state, shelf, new, "--first", "1", "--soak", words).returncode == 0
        assert {update.soak for update in store.targets()} == {seconds}
    for seconds, words in ((59, "59 s"), (61, "1 min"), (3 * 3600 - 1, "2 h"), (90000, "1 d"), (-1000, "0 s")):
        store.save(replace(store.latest(PK, DN), at=time.time() - seconds))
        assert re.search(f"waiting +{words} +0", mpota("status", "--state", state).stdout)
    store.save(replace(store.latest(PK, DN), at=0))
    assert status(state)[0]["since"] is None and re.search("waiting +- +0", mpota("status", "--state", state).stdout)


def test_terminal_that_is_narrow_leaves_nothing_out(shelf, build, state):
    publish(state, shelf, build("1.1.0"))
    screen, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 50))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")} | {"TERM": "xterm"}
    subprocess.run([sys.executable, "-m", "mpota", "status", "--state", state], stdin=terminal, stdout=terminal, check=True, env=environment)
    lines = re.sub("\x1b[^m]*m", "", os.read(screen, 8192).decode()).splitlines()
    assert lines[0].split() == list(OUTCOME)
    names = [line[: lines[0].index("version")].strip() for line in lines[2:-1]]
    assert "".join(names) == f"{PK}/{DN}" and len(names) > 1


def test_device_show_has_secrets_and_history(shelf, build, state):
    publish(state, shelf, build("1.1.0"))
    publish(state, shelf, build("1.2.3+4"))
    shown = mpota_json("device", "show", PK, DN, "--state", state)
    assert shown["secret"] == SECRET
    assert [(u["target"], u["state"]) for u in shown["updates"]] == [("1.2.3+4", "waiting"), ("1.1.0", "replaced")]
    assert "secret" not in json.dumps(mpota_json("device", "list", "--state", state))
