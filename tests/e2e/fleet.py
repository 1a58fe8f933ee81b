"""`make fleet`: many boards at once, each a process of its own, and one `mpota serve`.

    fleet.py [--boards COUNT] [--channel mqtt|coap]

A release that crashes must stop at the boards that are told first; the next one, as a patch, must reach all. Time-outs are generous: what
it takes is the computer's.
"""
# SPDX-License-Identifier: MIT

import contextlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import click
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1]))

from e2e.host import BUILD, MPOTA, ROOT, Server, build_firmware
from e2e.linuxboard import LinuxBoard

PRODUCT = "a1mpotafleet"
SCHEMES = {"mqtt": "http", "coap": "coap"}  # of the downloads
FOLDER = BUILD / "fleet"
KEYS = BUILD / "keys"
FIRST = 4
POLLS_PER_S = 5000  # that all boards together may make
START_S = 120
UPDATE_S = 3600


class Member(LinuxBoard):
    """One of many: it yields to the server, and what it says goes to a file."""

    def start(self):
        with (self.folder / "log").open("wb") as log:
            # In a session of its own each board would get as much of the processor as the server.
            self._process = subprocess.Popen(
                ["nice", "-n", "19", self._second_boot, self.flash.name], cwd=self.folder, stdin=subprocess.PIPE, stdout=log, stderr=log
            )
        return self

    def cut(self):
        self._process.kill()
        self._process.wait()


class Fleet:
    """A server and `count` boards on a channel. tell(text): how far it is."""

    def __init__(self, count, channel, tell):
        self._count, self._channel, self._tell, self._boards = count, channel, tell, []
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        app = FOLDER / "app"
        shutil.copytree(ROOT / "tests" / "apps" / "fleet", app)
        (app / "pace.py").write_text(f"BUSY_S = {count / POLLS_PER_S}\nIDLE_S = {max(0.1, 2 * count / POLLS_PER_S)}\n")
        self.images = {}
        for version, source in (("1.0.0", app), ("1.1.0", ROOT / "tests" / "apps" / "crash"), ("1.2.0", app)):
            self.images[version], self._second_boot = build_firmware(FOLDER / f"{version}.img", version, APP=source, PRODUCT=PRODUCT)
        self.server = Server(FOLDER / "server", "--host", "127.0.0.1")

    @contextlib.contextmanager
    def running(self):
        """All of them run 1.0.0, and end with the context."""
        self._since = time.monotonic()
        names = [f"lamp-{number:04}" for number in range(self._count)]
        added = json.loads(self.server.mpota("device", "add", PRODUCT, *names, "--json"))
        with self.server:
            try:
                self._start(added)
                yield self
            finally:
                for board in self._boards:
                    board.cut()

    def _start(self, added):
        address = f"{self._channel}://127.0.0.1:{self.server.address[f'{self._channel}_port']}"
        for device in added:
            board = Member(self._second_boot, FOLDER / device["dn"], self.images["1.0.0"]).start()
            self._boards.append(board)
            board.type(f"ota server {address}")
            if self._channel == "coap":
                board.type("ota download coap")
            board.type(f"OTA_APP {PRODUCT} {device['dn']} {device['secret']} unused")
        self.wait_for({"1.0.0": self._count}, START_S)
        self.say(f"{self._count} boards run 1.0.0")

    def say(self, text):
        self._tell(f"{time.monotonic() - self._since:5.0f} s  {text}")

    def versions(self):
        """How many boards run which version."""
        return Counter(row["version"] for row in json.loads(self.server.mpota("status", "--json")))

    def wait_for(self, wanted, timeout_s):
        end = time.monotonic() + timeout_s
        while (found := self.versions()) != wanted:
            assert time.monotonic() < end, found
            time.sleep(0.5)

    def publish(self, version, *options):
        """To the product, and waits; (status, what it said, how each device's update ended)."""
        done = subprocess.run(
            [MPOTA, "publish", self.images[version], "--key", KEYS / "digest.pem", "--product", PRODUCT, "--first", str(FIRST),
             "--url-scheme", SCHEMES[self._channel], "--wait", "--timeout", str(UPDATE_S), "--json", "--state", self.server.folder, *options],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stderr.splitlines(), json.loads(done.stdout)


def story(count, channel, tell):
    """A bad release and a good one; AssertionError if a board does not do as told."""
    with Fleet(count, channel, tell).running() as fleet:
        status, said, rows = fleet.publish("1.1.0")
        assert status == 1 and Counter(row["state"] for row in rows) == {"failed": FIRST, "held": count - FIRST}, (said[-3:], rows)
        fleet.wait_for({"1.0.0": count}, START_S)
        fleet.say(f"{FIRST} boards were told of 1.1.0: {rows[0]['desc']}")
        status, said, rows = fleet.publish("1.2.0", "--image-key", KEYS / "image.pem", "--base", fleet.images["1.0.0"])
        assert status == 0 and Counter(row["version"] for row in rows) == {"1.2.0": count}, (said[-3:], rows)
        told = [line for line in fleet.server.log.read_text().splitlines() if " told of 1.2.0" in line]
        assert all("a patch of" in line for line in told) and len(told) >= count, told[-3:]
        fleet.say(f"{count} boards run 1.2.0, by a {next(line for line in said if re.match('patch 1.0.0', line))}")


@click.command()
@click.option("--boards", type=click.IntRange(FIRST + 1, 9999), default=1000, show_default=True)
@click.option("--channel", type=click.Choice(list(SCHEMES)), default="mqtt", show_default=True)
def main(boards, channel):
    """Many boards at once."""
    console = Console(highlight=False)
    story(boards, channel, lambda text: console.print(text, markup=False, soft_wrap=True))
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
