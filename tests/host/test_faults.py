"""What goes wrong around the tool: full disks, missing programs, missing state."""
# SPDX-License-Identifier: MIT

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from mpota import pki
from mpota.errors import ToolError

from .helpers import DN, PK, ROOT, mpota, mpota_process

BOARDS = ROOT / "boards"
KEYS = [word for name in ("image", "digest") for word in (f"--{name}-key", ROOT / "tests" / "keys" / "test-rsa2048.pem")]
PUBLISH = ["publish", "image", "--key", "key", "--product", PK, "--timeout", "nan"]


def limited(size):
    """For a child: no file may grow beyond `size`, as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def check(done, *beginnings):
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert any(done.stderr.startswith(f"mpota: {beginning}") for beginning in beginnings), done.stderr


@pytest.fixture
def state(tmp_path):
    state = tmp_path / "state"
    assert mpota("device", "add", PK, DN, "--state", state).returncode == 0
    return state


def test_full_disk_while_building_leaves_no_file(shelf, tmp_path):
    out = tmp_path / "image.bin"
    done = mpota_process(
        "image", "build", shelf / "payload.bin", out, "--board", "tiny", "--boards", shelf / "boards", "--product", PK,
        "--version", "1.0.0", "--counter", "1", "--key", shelf / "image.pem", preexec_fn=limited(10000),
    )  # fmt: skip
    check(done, f"{out}: File too large")
    assert list(tmp_path.iterdir()) == []


def test_full_disk_while_making_a_key_leaves_no_file(tmp_path):
    check(mpota_process("key", "new", tmp_path / "key.pem", preexec_fn=limited(100)), f"{tmp_path}/key.pem: File too large")
    assert list(tmp_path.iterdir()) == []


def test_full_disk_while_publishing_publishes_nothing(shelf, build, state):
    command = "publish", build("1.1.0"), "--key", shelf / "digest.pem", "--product", PK, "--state", state
    check(mpota_process(*command, preexec_fn=limited(10000)), f"{state}/artifacts/")
    assert list((state / "artifacts").iterdir()) == []
    assert "waiting" not in mpota("status", "--state", state).stdout


def test_full_disk_while_configuring_a_build_is_named(tmp_path):
    done = mpota_process("firmware", tmp_path, "--boards", BOARDS, *KEYS, preexec_fn=limited(100))
    check(done, f"{tmp_path}/board.h: File too large")
    assert list(tmp_path.iterdir()) == []


def test_full_disk_stops_the_store(state):
    check(mpota_process("device", "add", PK, "dev02", "--state", state, preexec_fn=limited(100)), f"{state}/mpota.db: ")
    assert "dev02" not in mpota("device", "list", "--state", state).stdout


def test_full_disk_stops_the_server(state):
    check(mpota_process("serve", "--state", state, preexec_fn=limited(100)), f"{state}/")
    assert not (state / "server.json").exists()


def test_full_standard_output_is_one_line(shelf):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "mpota", "key", "show", shelf / "image.pem"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "mpota: standard output: No space left on device\n")


def test_links_in_a_circle_are_named(shelf, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    check(mpota("key", "show", shelf / "image.pem", "--der", tmp_path / "loop"), f"{tmp_path}/loop: Too many levels of symbolic links")
    assert (tmp_path / "loop").is_symlink()


def test_closed_standard_output_is_no_fault(shelf):
    command = f'"{sys.executable}" -m mpota key show "{shelf}/image.pem" >&-'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_name_that_is_no_text_is_named(tmp_path):
    check(mpota_process("serve", "--state", f"{tmp_path}/s\udcff"), f"{tmp_path}/s\\udcff: not UTF-8")


def test_missing_mosquitto_is_named(state, tmp_path):
    script = "import mpota.broker, mpota.cli; mpota.broker._SEARCH = ''; mpota.cli.main()"
    environment = {**os.environ, "PATH": str(tmp_path)}
    command = [sys.executable, "-c", script, "serve", "--state", str(state)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    check(done, "mosquitto: not found; on Debian: apt-get install mosquitto")


@pytest.mark.parametrize("command", [["status"], ["device", "list"], ["device", "show", PK, DN]])
def test_missing_state_is_named_and_not_made(tmp_path, command):
    check(mpota(*command, "--state", tmp_path / "none"), f"{tmp_path}/none: no state here yet")
    assert list(tmp_path.iterdir()) == []


def test_state_is_found_by_environment_and_by_default(state, tmp_path):
    environment = {**os.environ, "MPOTA_STATE": str(state)}
    assert DN in mpota_process("device", "list", env=environment).stdout
    Path(state).rename(tmp_path / "mpota-state")
    environment.pop("MPOTA_STATE")
    assert DN in mpota_process("device", "list", cwd=tmp_path, env=environment).stdout


def test_device_that_is_there_or_is_not_is_named(state):
    check(mpota("device", "add", PK, DN, "--state", state), f"{PK}/{DN}: device is there already")
    check(mpota("device", "show", PK, "nobody", "--state", state), f"{PK}/nobody: no such device")
    check(mpota("device", "add", PK, "a:b", "--state", state), "a:b: not a device name")
    check(mpota("device", "add", PK, "dev02", "--secret", "a b", "--state", state), "--secret: not a secret")


def test_unreadable_certificate_authority_is_named(state):
    for name in ("ca.pem", "ca-key.pem"):
        (state / name).write_text("junk")
    check(mpota_process("serve", "--state", state), f"{state}/ca.pem: this CA or its key cannot be read")


def test_half_of_a_certificate_authority_is_not_replaced(tmp_path):
    pki.prepare(tmp_path, "127.0.0.1")
    for name in ("ca.pem", "ca-key.pem"):
        held = (tmp_path / name).read_bytes()
        before = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.name != name}
        (tmp_path / name).unlink()
        with pytest.raises(ToolError, match=f"{name}: missing"):
            pki.prepare(tmp_path, "127.0.0.1")
        assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
        (tmp_path / name).write_bytes(held)


def test_base_without_the_key_for_patches_is_wrong_usage(shelf, build, state):
    done = mpota("publish", build("1.1.0"), "--key", shelf / "digest.pem", "--device", f"{PK}/{DN}", "--state", state, "--base", build("1.0.0"))
    assert done.returncode == 2 and "--image-key" in done.stderr


@pytest.mark.parametrize("soak", ["1x", "", "-1", "1.5h", "9999999", "١h"])
def test_what_is_no_time_is_wrong_usage(state, soak):
    done = mpota("publish", "image", "--key", "key", "--device", f"{PK}/{DN}", "--state", state, "--first", "1", "--soak", soak)
    assert done.returncode == 2 and f"{soak} is not a time" in done.stderr


def test_wait_that_ends_within_the_soak_time_is_wrong_usage(state):
    done = mpota("publish", "image", "--key", "key", "--device", f"{PK}/{DN}", "--state", state, "--first", "1", "--soak", "10m", "--wait")
    assert done.returncode == 2 and "more than 600 seconds" in done.stderr


def test_what_is_no_file_or_no_text_is_named(state, tmp_path):
    (tmp_path / "file").write_text("")
    cases = {
        f"{tmp_path}: Is a directory": ["config", "--config", tmp_path, "--boards", BOARDS],
        f"{tmp_path}/none: No such file or directory": ["config", "--config", tmp_path / "none", "--boards", BOARDS],
        f"{tmp_path}/file/Kconfig: Not a directory": ["config", "--boards", tmp_path / "file"],
        f"{tmp_path}/file: File exists": ["firmware", tmp_path / "file", "--boards", BOARDS, *KEYS],
        "\udcff: not UTF-8": ["device", "show", "\udcff", DN, "--state", state],
        "x:99999: not HOST:PORT": ["firmware", tmp_path / "out", "--boards", BOARDS, *KEYS, "--server", "x:99999"],
        "x:²: not HOST:PORT": ["firmware", tmp_path / "out", "--boards", BOARDS, *KEYS, "--server", "x:²"],
        "'lämp.local': not a host's name": ["serve", "--state", state, "--host", "lämp.local"],
        "'': not a host's name": ["serve", "--state", state, "--bind", ""],
    }
    for reason, command in cases.items():
        check(mpota(*command), reason)


def test_file_that_may_not_be_read_is_one_line(shelf, monkeypatch):
    def refuse(path, *_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr("builtins.open", refuse)
    for command in (["key", "show"], ["image", "info"], ["patch", "info"]):
        check(mpota(*command, shelf / "image.pem"), f"{shelf}/image.pem: Permission denied")


def test_wrong_usage_is_status_2(tmp_path):
    for command in ([], ["nonsense"], ["serve", "--bind", "0.0.0.0"], ["serve", "--mqtt-port", "65536"], ["key", "new"], PUBLISH):
        assert mpota_process(*command, cwd=tmp_path).returncode == 2
    assert mpota("--help").returncode == 0
    assert mpota("--version").stdout.startswith("mpota ")
