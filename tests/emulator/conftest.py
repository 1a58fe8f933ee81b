"""Builds the emulator's parts once for all tests here."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import machine  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def rom():
    for tool in ("qemu-system-xtensa", machine.CC):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    machine.make("rom")


@pytest.fixture(scope="session")
def second_boot(rom):
    machine.make("second_boot")
    return (machine.BUILD / "second_boot.bin").read_bytes()


@pytest.fixture(scope="session")
def firmware(rom):
    micropython, lwip = machine.source("micropython"), machine.source("lwip")
    if micropython is None or lwip is None:
        pytest.skip("no MicroPython and lwIP sources (MICROPY_DIR, LWIP_DIR)")
    machine.make("firmware", MICROPY_DIR=micropython, LWIP_DIR=lwip)
    return machine.image((machine.BUILD / "firmware.bin").read_bytes())
