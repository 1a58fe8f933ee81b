"""The host's side of the end-to-end tests and the demo: `make` builds firmware, `mpota` does the rest, for real."""
# SPDX-License-Identifier: MIT

import json
import os
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = Path(os.environ.get("MPOTA_BUILD", ROOT / "build"))
MPOTA = BUILD / "venv" / "bin" / "mpota"
RUN_S = 300  # the longest is a build of firmware


def run(*command, check=True):
    """Runs a command in the project's folder; returns what it printed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=ROOT, text=True, capture_output=True, timeout=RUN_S)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def build_firmware(out, version, board="linuxhost", **variables):
    """`make otaapp@BOARD`: the image `out`, and beside it the Linux board's second boot. Returns both paths.

    variables: APP, KEY, DIGEST_KEY, CA, COUNTER, PRODUCT, KCONFIG_CONFIG of the Makefile."""
    variables = {"EMULATED": "yes", "KCONFIG_CONFIG": os.devnull} | variables
    run("make", f"otaapp@{board}", f"OUT={out}", f"VERSION={version}", *(f"{k}={v}" for k, v in variables.items()))
    return Path(out), Path(out).with_suffix(".second_boot")


class Server:
    """A running `mpota serve`. folder: its state."""

    def __init__(self, folder, *options):
        self.folder = Path(folder)
        self._options = options
        self.log = self.folder / "serve.log"
        self._ports = ()

    def start(self, timeout_s=60):
        """Again after stop(), it has the same ports."""
        self.folder.mkdir(parents=True, exist_ok=True)
        address = self.folder / "server.json"
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [MPOTA, "serve", "--state", self.folder, *self._options, *self._ports], cwd=ROOT, stdout=log, stderr=log
            )
        end = time.monotonic() + timeout_s
        while not address.exists():
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise AssertionError(f"mpota serve did not start:\n{self.log.read_text()}")
            time.sleep(0.02)
        self.address = json.loads(address.read_text())
        self._ports = [
            word for name in ("mqtt", "mqtts", "http", "https", "coap", "coaps")
            for word in (f"--{name}-port", str(self.address[f"{name}_port"]))
        ]  # fmt: skip
        return self

    def stop(self):
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def ca(self):
        return self.folder / "ca.pem"

    def add_device(self, pk, dn, ds):
        self.mpota("device", "add", pk, dn, "--secret", ds)

    def publish(self, image, digest_key, device, *options, check=True):
        return self.mpota("publish", image, "--key", digest_key, "--device", device, *options, check=check)

    def status(self, device):
        """The row of `mpota status` for a device, as a dict."""
        return next(row for row in json.loads(self.mpota("status", "--json")) if row["device"] == device)

    def mpota(self, command, *arguments, check=True):
        return run(MPOTA, command, *arguments, "--state", self.folder, check=check)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()
