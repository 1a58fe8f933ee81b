"""Lets the device's tests run on CPython: MicroPython's modules, umqtt.simple and the artifacts they read."""
# SPDX-License-Identifier: MIT

import os
import sys
from pathlib import Path

import pytest

from otacore import BUILD, REPO

HERE = Path(__file__).parent
# behind everything else, so that no other test meets them
sys.path += [str(HERE), str(HERE / "shims"), str(BUILD / "lib")]

import artifacts_made
import boardlike

boardlike.install(str(REPO))
os.environ["MPOTA_ROOT"] = str(REPO)
# of each worker its own: signatures differ from one making to the next
UNIT = BUILD / "unit" / os.environ.get("PYTEST_XDIST_WORKER", "alone")
os.environ["MPOTA_UNIT"] = str(UNIT)


@pytest.fixture(scope="session", autouse=True)
def artifacts():
    """Images made by imgtool and signatures made by cryptography, as files that MicroPython can read."""
    artifacts_made.make(UNIT)


@pytest.fixture(autouse=True)
def board_like(tmp_path, monkeypatch):
    """A folder of its own, nothing typed, and a memoryview that takes str as MicroPython's does."""
    from ota.transport import net

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(net, "memoryview", lambda data: memoryview(data.encode() if type(data) is str else data), raising=False)
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        yield
