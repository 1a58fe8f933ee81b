"""The campaign on the emulated ESP8266: its real second boot and firmware, a real server, and cuts that the chip's ROM makes
inside its flash operations. A life takes seconds, so few are led: all of the marks' operations come first, then a seeded sample.

An ID is emulated/CUT, where CUT is OPERATION.SHAPE.SEED as in prove.py. Operations count from where the board is ready.
"""
# SPDX-License-Identifier: MIT

import dataclasses
import hashlib
import random
import re
import shutil
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

from e2e.espboard import EspBoard
from e2e.linuxboard import Console
from mpota import board as boards
from mpota import emulate

FACTS = boards.load("esp8266", ROOT / "boards")
PATIENT_S = 300  # for a machine with other work
COMMIT, TRIAL, CONFIRM = "commit", "trial", "confirm"
TAIL = (COMMIT, COMMIT, TRIAL, CONFIRM, CONFIRM)  # the last operations of an update: marks CCTYY
HEAD = 3  # and its first: the trailer's erase and two started marks
PROGRAM_CUTS, ERASE_CUTS = 5, 9  # boards/emulator/nor.h


@dataclass(frozen=True)
class Cut:
    operation: int
    shape: int
    seed: int

    @classmethod
    def of(cls, text):
        return cls(*map(int, text.split(".")))

    def __str__(self):
        return f"{self.operation}.{self.shape}.{self.seed}"


class Wrong(Exception):
    """The board did not keep the promise."""


class Story:
    """One update from `old` to `new`. build: where `make otaapp@esp8266` put ROM and second boot. folder: for flash files.
    device: (product key, name, secret), which `server` knows; publish(): offers `new` to it."""

    def __init__(self, build, folder, server, device, images, publish):
        self._build, self.folder, self._server, self._device = Path(build), Path(folder), server, device
        self.old, self.new = (Path(image).read_bytes() for image in images)
        self._old_image, self._publish = images[0], publish
        self.versions = [".".join(map(str, struct.unpack_from("<BBH", image, 20))) for image in (self.old, self.new)]
        self.board = None
        self.operations = 0

    def prepare(self):
        """Leads the board to where an update may begin, and keeps what its flash then holds."""
        shutil.rmtree(self.folder, ignore_errors=True)
        board = self._make_board()
        second_boot = (self._build / "second_boot.bin").read_bytes()
        emulate.blank(board.flash, FACTS.flash_size, {0: second_boot, FACTS.slots[0].offset: self.old})
        board.start()
        board.expect("otaapp", PATIENT_S)
        for line in ("netmgr connect mpota mpota-secret", f"ota server 10.0.2.2:{self._server.address['mqtt_port']}",
                     f"OTA_APP {' '.join(self._device)} unused"):
            board.type(line)
        board.expect(f"confirmed {re.escape(self.versions[0])}$", PATIENT_S)
        board.type("ota status")
        board.expect("idle, connected$", PATIENT_S)
        board.cut()
        self._keep("ready")

    def uncut(self):
        """The update as it should be; counts its operations."""
        self._restore("ready")
        before = self._operations()
        self._publish()
        self.board.start()
        self._finish()
        self.operations = self._operations() - before
        self._first = before

    def live(self, cut, start="ready"):
        """One life with a cut in it. Raises Wrong. Returns what lay in the trailer at the cut, before and after, in words."""
        self._restore(start)
        self._publish()
        self._arm(cut_at=self._first + cut.operation, cut_kind=cut.shape, cut_seed=cut.seed)
        self.board.start()
        status, said = self.board.machine.wait(PATIENT_S)
        self.board.cut()
        if status != emulate.EXIT_POWER_CUT:
            raise Wrong(f"the machine ended with {status}, {said}, before the cut")
        at_the_cut = self._words()
        self._arm(cut_at=0)
        self.board.start()
        try:
            self._finish()
        except AssertionError as e:
            raise Wrong(f"{at_the_cut}: {e}") from None
        return at_the_cut

    def keep_nearly_done(self):
        """A second place to begin: all is fetched, and the next operation commits."""
        self.live_until(self.operations - len(TAIL))
        self._keep("fetched")

    def live_until(self, operation):
        """Leaves the flash as it is after this operation."""
        self._restore("ready")
        self._publish()
        self._arm(cut_at=self._first + operation, cut_kind=3)
        self.board.start()
        self.board.machine.wait(PATIENT_S)
        self.board.cut()

    def _finish(self):
        """What must follow, whatever has happened."""
        board, (old, new) = self.board, self.versions
        board.expect(f"confirmed {re.escape(new)}$", PATIENT_S)
        board.cut()
        flash = board.flash.read_bytes()
        for slot, image, version in zip(FACTS.slots, (self.old, self.new), (old, new)):
            if flash[slot.offset : slot.offset + len(image)] != image:
                raise AssertionError(f"the slot of {version} does not hold it")
        said = [line for line in board.log if "YMODEM" in line or "verified" in line]
        if said:
            raise AssertionError(f"the second boot was at its wits' end: {said}")
        board.log.clear()
        board._seen = 0
        board.start()
        board.expect("otaapp", PATIENT_S)
        board.type("ota status")
        board.expect(rf"^{re.escape(new)} confirmed", PATIENT_S)
        board.cut()

    def _make_board(self):
        self.board = EspBoard(self._build, self.folder, self._old_image, strict=True, state=self.folder / "nor.state")
        return self.board

    def _arm(self, **settings):
        machine = self.board.machine
        machine.settings = dataclasses.replace(machine.settings, **settings)

    def _operations(self):
        return struct.unpack_from("<I", (self.folder / "nor.state").read_bytes(), 20)[0]

    def _keep(self, name):
        for file in ("flash.bin", "nor.state"):
            shutil.copy(self.folder / file, self.folder / f"{file}.{name}")

    def _restore(self, name):
        for file in ("flash.bin", "nor.state"):
            shutil.copy(self.folder / f"{file}.{name}", self.folder / file)
        self.board.log.clear()
        self.board._seen = 0
        self._arm(cut_at=0)

    def _words(self):
        marks = [self.board.marks(slot) for slot in FACTS.slots]
        return f"trailers A {marks[0] or 'blank'}, B {marks[1] or 'blank'}"

    def close(self):
        if self.board:
            self.board.machine.close()


def phase(operation, operations):
    """The step that an operation belongs to, by its place."""
    from_end = operations - operation
    if from_end < len(TAIL):
        return TAIL[-1 - from_end]
    return "begin" if operation <= HEAD else "fetch or install"


def sample(operations, count, seed):
    """Cuts in every operation on marks, then `count` others anywhere."""
    chance = random.Random(seed)
    marks = [*range(1, HEAD + 1), *range(operations - len(TAIL) + 1, operations + 1)]
    others = [chance.randrange(HEAD + 1, operations - len(TAIL) + 1) for _ in range(count)]
    return [Cut(operation, chance.randrange(ERASE_CUTS), chance.randrange(1, 1 << 16)) for operation in marks + others]
