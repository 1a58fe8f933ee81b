"""The server with real boards: several at once, restarts, and a full disk."""
# SPDX-License-Identifier: MIT

import re
import resource
import subprocess
import sys

from e2e.conftest import wait_until
from e2e.firmware import DIGEST_KEY
from e2e.host import MPOTA, ROOT

DISK_B = 400_000  # room for the database, not for an image


def test_two_boards_fetch_at_the_same_time(server, firmware, new_lamp):
    image = firmware.image("1.1.0")
    half = image.stat().st_size // 2
    https = server.links["https"]
    lamps = new_lamp(), new_lamp()
    with https.held(half):
        server.push(image, lamps[0], "--device", lamps[1].name)
        wait_until(lambda: https.received == [half, half], 30, lambda: https.received)
    for lamp in lamps:
        lamp.expect(r"confirmed 1\.1\.0$")
        server.wait_event(lamp.name, r"1\.1\.0 updated")
        assert server.status(lamp.name)["state"] == "updated"
    assert len(https.received) == 2


def test_restarted_server_knows_what_was_and_tells_what_was_published_meanwhile(server, firmware, new_lamp):
    done, waiting = new_lamp(image=firmware.image("1.1.0"), version="1.1.0"), new_lamp()
    server.push(firmware.image("1.1.0"), done)
    server.wait_event(done.name, r"1\.1\.0 updated")
    before = server.status(done.name)
    server.restart(meanwhile=lambda: server.push(firmware.image("1.1.0"), waiting))
    assert server.status(done.name) == before
    waiting.expect(r"confirmed 1\.1\.0$")
    server.wait_event(waiting.name, r"1\.1\.0 updated")
    wait_until(lambda: server.events(done.name).count("runs 1.1.0") == 2, 20, lambda: server.events(done.name))
    assert server.status(done.name) == before


def test_full_disk_while_publishing_is_one_line_and_loses_nothing(server, firmware, new_lamp):
    """What tests/host shows of the command alone, with a server running and a board in its care."""
    lamp = new_lamp(image=firmware.image("1.1.0"), version="1.1.0")
    server.push(firmware.image("1.1.0"), lamp)
    server.wait_event(lamp.name, r"1\.1\.0 updated")
    before = server.status(lamp.name), files(server)
    fresh = firmware.image("1.3.0", counter=2)
    command = [MPOTA, "publish", fresh, "--key", DIGEST_KEY, "--device", lamp.name, "--state", server.folder]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (DISK_B, DISK_B)),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"mpota: .*/artifacts/.*: File too large\n", done.stderr), done.stderr
    assert (server.status(lamp.name), files(server)) == before
    server.push(fresh, lamp)
    lamp.expect(r"confirmed 1\.3\.0$")
    server.wait_event(lamp.name, r"1\.3\.0 updated")


def test_demo_of_a_board_that_has_none_is_refused():
    done = subprocess.run([sys.executable, ROOT / "tests" / "e2e" / "demo.py", "nope"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "demo: nope: no demo of this board; there is esp8266, linuxhost\n"


def files(server):
    return sorted(path.name for path in (server.folder / "artifacts").iterdir())
