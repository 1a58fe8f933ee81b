"""The unit tests of `ota/` on the emulated chip, frozen into its firmware."""
# SPDX-License-Identifier: MIT

import os
import re
import subprocess
import sys

import pytest
from machine import REPO

sys.path.insert(0, str(REPO / "tests" / "unit" / "device"))

import artifacts_made
from e2e.espboard import EspBoard
from e2e.host import BUILD
from mpota import board as boards

DEVICE = REPO / "tests" / "unit" / "device"
HELPERS = ("bench", "fakes", "wires")
# The one runs the others, one reads SPEC.md, one has a flash of its own in memory.
NOT_HERE = {"test_on_micropython", "test_reason", "test_parameters"}
FILES = sorted({path.stem for path in DEVICE.glob("test_*.py")} - NOT_HERE)
# Tests that need what the chip has not: MD5 in hashlib, sockets to itself, all of a slot in memory, a flash (for tests) that needs no memory.
CANNOT = {
    "test_md5_is_never_accepted_without_digestsign", "test_md5_is_refused_unless_it_is_named",
    "test_md5_with_its_signature_is_fetched_where_it_is_named", "test_digest_of_md5_is_computed_from_flash_too",
    "test_body_is_read_from_a_real_socket_without_allocating", "test_long_message_is_cut_and_the_rest_dropped",
    "test_read_without_blocking_gives_a_byte_none_or_the_end", "test_readinto_fills_its_buffer_over_a_real_connection",
    "test_silent_peer_ends_a_read_in_time", "test_handshake_that_drips_holds_the_board_for_twenty_seconds",
    "test_running_slot_is_never_written", "test_rejection_takes_no_memory",
}
# Where a test may hold whole artifacts of 21 KB in memory, which the chip has not either.
LARGE = {"test_memory", "test_net", "test_rules", "test_service", "test_update"}
PATIENT_S = 60


@pytest.fixture(scope="module")
def board():
    """Firmware with all tests in it, running."""
    folder = BUILD / "emulator" / "artifacts"
    artifacts_made.make(folder)
    frozen = {path.name: path.read_bytes() for path in folder.iterdir()}
    (BUILD / "emulator" / "frozen_artifacts.py").write_text(f"FILES = {frozen!r}\n")
    image = BUILD / "emulator" / "units.img"
    image.parent.mkdir(parents=True, exist_ok=True)
    words = {"APP": "tests/emulator/units/app", "OUT": image, "MANIFEST": REPO / "tests/emulator/units/manifest.py", "EMULATED": "yes", "KCONFIG_CONFIG": os.devnull,
             "SERVER": "127.0.0.1:18830"}
    made = subprocess.run(["make", "otaapp@esp8266", *(f"{k}={v}" for k, v in words.items())], cwd=REPO, capture_output=True, text=True,
                          check=False, env=os.environ | {"UNITS": " ".join((*HELPERS, *FILES)), "ARTIFACTS": str(BUILD / "emulator")})
    assert made.returncode == 0, made.stdout + made.stderr
    with EspBoard(BUILD / "esp8266", BUILD / "emulator" / "units", image).flash_at_once(boards.load("esp8266").slots[0]) as running:
        yield running


@pytest.mark.parametrize("name", FILES)
def test_file_passes_on_the_chip(board, name):
    board.expect("units: ready", PATIENT_S)
    start = len(board.log)
    board.type(name)
    board.expect("units: end", PATIENT_S)
    said = {line.split(" ", 2)[1]: line.split(" ", 2)[2] for line in board.log[start:] if line.startswith("units: test_")}
    print(name, {outcome: list(said.values()).count(outcome) for outcome in ("passed", "failed", "too large")})
    assert said.keys() == set(re.findall(r"^def (test_\w+)", (DEVICE / f"{name}.py").read_text(), re.M))
    assert {test for test, outcome in said.items() if outcome == "failed"} <= CANNOT, "\n".join(board.log[start:])
    assert "passed" in said.values() and (name in LARGE or "too large" not in said.values())
