"""The campaign on the emulated ESP8266: its real second boot and firmware, a real server, and cuts that the chip's ROM makes
inside its flash operations. A life takes seconds, so few are led: all of the marks' operations come first, then a seeded sample.

An ID is emulated/STORY/CUT, where CUT is OPERATION.SHAPE.SEED as in prove.py. Operations count from where the board is ready.
"""
# SPDX-License-Identifier: MIT

import dataclasses
import hashlib
import random
import re
import shutil
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

from e2e import firmware
from e2e.espboard import EspBoard
from e2e.host import BUILD, Server, build_firmware
from mpota import board as boards
from mpota import emulate
from mpota.cli.common import print_table

FACTS = boards.load("esp8266", ROOT / "boards")
PATIENT_S = 300  # for a machine with other work
DEVICE = "a1mpotachip", "lamp", "a-device-secret"
STORIES = {"image": (), "patch": ("--image-key", firmware.IMAGE_KEY, "--base")}  # and what publishing takes
COMMIT, TRIAL, CONFIRM = "commit", "trial", "confirm"
TAIL = (COMMIT, COMMIT, TRIAL, CONFIRM, CONFIRM)  # the last operations of an update: marks CCTYY
HEAD = 3  # and its first: the trailer's erase and two started marks
PROGRAM_ALL, ERASE_CUTS, MAX_SECTORS = 3, 9, 4096  # boards/emulator/nor.h


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
        self._has_fetched = False

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
        self._begin()
        self._finish()
        self.operations = self._operations() - before
        self._first = before

    def live(self, cut):
        """One life with a cut in it. Raises Wrong. Returns what the trailers held after the cut, in words."""
        self._restore("fetched" if self._has_fetched and cut.operation > self.operations - len(TAIL) else "ready")
        self._arm(cut_at=self._first + cut.operation, cut_kind=cut.shape, cut_seed=cut.seed)
        self._begin()
        status, said = self._wait()
        if status != emulate.EXIT_POWER_CUT:
            raise Wrong(f"the machine ended with {status}, {said}, before the cut")
        at_the_cut = self._words()
        marks = self.board.marks(FACTS.slots[1])
        self._arm(cut_at=0)
        self.board.start()
        try:
            self._finish(resumes=marks.count("P") > 1 and "C" not in marks)
        except AssertionError as e:
            raise Wrong(f"{at_the_cut}: {e}") from None
        return at_the_cut

    def keep_fetched(self):
        """A second place to begin, for an image: all is fetched, and the next operation commits. (A patch is installed anew.)"""
        self._restore("ready")
        self._arm(cut_at=self._first + self.operations - len(TAIL), cut_kind=PROGRAM_ALL)
        self._begin()
        self._wait()
        self._keep("fetched")
        self._has_fetched = True

    def _wait(self):
        """Until the machine ends by itself: status and last words."""
        try:
            return self.board.machine.wait(PATIENT_S)
        except emulate.EmulatorError as e:
            raise Wrong(f"{e}:\n" + "\n".join(self.board.log[-30:])) from None
        finally:
            self.board.cut()

    def _begin(self):
        """Switches on, and publishes once the server has heard of the old version: it knew the board with the new one."""
        informs = self._informs()
        self.board.start()
        end = time.monotonic() + PATIENT_S
        while self._informs() == informs:
            if time.monotonic() > end:
                raise Wrong("the board does not speak to its server")
            time.sleep(0.02)
        self._publish()

    def _informs(self):
        return self._server.log.read_text().count(f"runs {self.versions[0]}")

    def _finish(self, resumes=False):
        """What must follow, whatever has happened. resumes: the fetch had come far enough not to begin again."""
        board, (old, new) = self.board, self.versions
        self._runs_confirmed()
        flash = board.flash.read_bytes()
        for slot, image, version in zip(FACTS.slots, (self.old, self.new), (old, new)):
            if flash[slot.offset : slot.offset + len(image)] != image:
                raise AssertionError(f"the slot of {version} does not hold it")
        if any(self._wear(FACTS.slots[0])):
            raise AssertionError("a sector of the running slot was erased")
        if any("YMODEM" in line for line in board.log):
            raise AssertionError("the second boot waits for a person")
        if resumes and not any("resumes at" in line for line in board.log):
            raise AssertionError("the fetch began again")
        board.forget()
        board.start()
        self._runs_confirmed()

    def _runs_confirmed(self):
        """Waits until the new version says so of itself, and switches off. Asks again and again: a board that restarts does
        not hear."""
        wanted = re.compile(rf"^{re.escape(self.versions[1])} confirmed, idle")
        end = time.monotonic() + PATIENT_S
        while not any(wanted.match(line) for line in self.board.log):
            if time.monotonic() > end:
                raise AssertionError(f"{self.versions[1]} never ran confirmed:\n" + "\n".join(self.board.log[-30:]))
            self.board.type("ota status")
            time.sleep(0.5)
        self.board.cut()

    def _make_board(self):
        self.board = EspBoard(self._build, self.folder, self._old_image, strict=True, state=self.folder / "nor.state")
        return self.board

    def _arm(self, **settings):
        machine = self.board.machine
        machine.settings = dataclasses.replace(machine.settings, **settings)

    def _operations(self):
        return struct.unpack_from("<I", (self.folder / "nor.state").read_bytes(), 20)[0]

    def _wear(self, slot):
        """Erases of each sector of a slot: the last array of the chip's state (boards/emulator/nor.h)."""
        wear = (self.folder / "nor.state").read_bytes()[-4 * MAX_SECTORS :]
        return struct.unpack_from(f"<{slot.size // FACTS.sector}I", wear, 4 * (slot.offset // FACTS.sector))

    def _keep(self, name):
        for file in ("flash.bin", "nor.state"):
            shutil.copy(self.folder / file, self.folder / f"{file}.{name}")

    def _restore(self, name):
        self.board.cut()
        for file in ("flash.bin", "nor.state"):
            shutil.copy(self.folder / f"{file}.{name}", self.folder / file)
        self.board.forget()
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


class Scene:
    """The server and the two images that all stories share; a context. build: where `make otaapp@esp8266` builds."""

    def __init__(self, folder):
        self.folder = Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        pk = DEVICE[0]
        build_firmware(self.folder / "firmware.img", "1.0.0", "esp8266", PRODUCT=pk, KEY=firmware.IMAGE_KEY, DIGEST_KEY=firmware.DIGEST_KEY)
        payload = (BUILD / "esp8266" / "firmware.bin").read_bytes()
        self._images = []
        for version in ("1.0.0", "1.1.0"):
            self._images.append(self.folder / f"{version}.img")
            self._images[-1].write_bytes(firmware.image(version, payload, 1, pk, "esp8266", vendor=FACTS.vendor))
        self._server = Server(self.folder / "server", "--host", "10.0.2.2")

    def __enter__(self):
        self._server.start()
        self._server.add_device(*DEVICE)
        return self

    def __exit__(self, *exc):
        self._server.stop()

    def story(self, name):
        """A story that is ready to be cut. It must be closed."""
        options = (*STORIES[name], self._images[0]) if STORIES[name] else ()

        def publish():
            self._server.publish(self._images[1], firmware.DIGEST_KEY, "/".join(DEVICE[:2]), "--url-scheme", "http", *options)

        story = Story(BUILD / "esp8266", self.folder / name, self._server, DEVICE, self._images, publish)
        try:
            story.prepare()
            story.uncut()
            if not STORIES[name]:
                story.keep_fetched()
        except BaseException:
            story.close()
            raise
        return story


def check(console, count, identity=None):
    """All stories, or one cut of one; True if none went wrong."""
    told, rows = ("begin", "fetch or install", COMMIT, TRIAL, CONFIRM), []
    good = True
    wanted = identity.split("/")[1:] if identity else None
    with Scene(BUILD / "prove" / "emulated") as scene:
        for name in [wanted[0]] if wanted else STORIES:
            story = scene.story(name)
            try:
                cuts = [Cut.of(wanted[1])] if wanted else sample(story.operations, count, 1)
                failures = tell(console, name, story, cuts, bool(wanted))
            finally:
                story.close()
            phases = [phase(cut.operation, story.operations) for cut in cuts]
            rows.append((name, f"{story.operations:,}", len(cuts), *(phases.count(words) for words in told), failures))
            good = good and not failures
    print_table(("story", "operations", "lives", *told, "failures"), rows, "On the emulated ESP8266")
    return good


def tell(console, name, story, cuts, loud):
    """Leads the lives; how many went wrong."""
    failures = 0
    for cut in cuts:
        try:
            words = story.live(cut)
            if loud:
                console.print(f"{phase(cut.operation, story.operations)}: {words}", soft_wrap=True)
        except Wrong as e:
            failures += 1
            console.print(f"[red]cut inside {phase(cut.operation, story.operations)}[/red]: make prove ID=emulated/{name}/{cut}", soft_wrap=True)
            console.print(str(e), markup=False, highlight=False, soft_wrap=True)
    return failures
