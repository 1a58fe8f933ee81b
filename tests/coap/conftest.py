"""MicroPython with `_ota`, as the linuxhost board runs it: the package itself is read from the sources."""
# SPDX-License-Identifier: MIT

import subprocess

import pytest

from otacore import BUILD, KEYS, REPO


@pytest.fixture(scope="session", autouse=True)
def micropython():
    folder = BUILD / "coap"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["make", "otaapp@linuxhost", f"OUT={folder}/otaapp.img", f"KEY={KEYS}/test-rsa2048.pem",
         f"DIGEST_KEY={KEYS}/test-rsa2048-e3.pem"], cwd=REPO, check=True, capture_output=True,
    )  # fmt: skip
