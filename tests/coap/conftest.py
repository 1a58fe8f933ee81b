"""MicroPython with `_ota`, as the linuxhost board runs it: the package itself is read from the sources."""
# SPDX-License-Identifier: MIT

import subprocess

import pytest

from otacore import BUILD, KEYS, REPO


@pytest.fixture(scope="session", autouse=True)
def micropython():
    folder = BUILD / "coap"
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["make", "otaapp@linuxhost", f"OUT={folder}/otaapp.img", f"KEY={KEYS}/test-rsa2048.pem",
         f"DIGEST_KEY={KEYS}/test-rsa2048-e3.pem"], cwd=REPO, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
