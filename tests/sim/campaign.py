"""The machinery of the power-cut campaign: tasks, the program that runs them, a journal of their results, and totals.

Work is cut into tasks whose results are kept, so a campaign that was stopped goes on where it was.
"""
# SPDX-License-Identifier: MIT

import ast
import hashlib
import json
import os
import sqlite3
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import world
from mpota import patch

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("MPOTA_BUILD", ROOT / "build"))
HERE = ROOT / "tests" / "sim"
PHASES = ("begin", "fetch", "install", "progress", "commit", "trial", "confirm", "reject", "report", "console")
NEEDED = ("install", "commit", "trial", "confirm")
CUT = ("image", "twice", "patch", "hang", "gives-up", "alone", "lossy", "no-range", "lying", "foreign", "coap", "coap-patch", "console")
PAIRED = ("image", "patch", "hang", "gives-up")
RANDOM = ("soak", "rot", "bad-sector", "worn")
STATES_TO_BEAT = 12_109
TIMEOUT_S = 1800


class CampaignError(Exception):
    """The campaign itself cannot go on."""


@dataclass(frozen=True)
class Depth:
    """How much of a campaign is run. every: of the operations on data one in so many. seeds: of each shape of a cut inside a mark
    or an erase. pairs: of the possible second cuts one in so many (0: none), pairs_every: at one data operation in so many.
    lives: of each random scenario. full: lives of full-size images, one data operation in `full` cut (0: none)."""

    every: int
    seeds: int
    pairs: int
    pairs_every: int
    lives: int
    full: int


DEPTHS = {
    "full": Depth(every=1, seeds=4, pairs=1, pairs_every=1, lives=300, full=800),
    "quick": Depth(every=64, seeds=1, pairs=24, pairs_every=8, lives=12, full=0),
    "small": Depth(every=96, seeds=1, pairs=24, pairs_every=16, lives=4, full=0),
}
# Of each board in the small campaign: together they see every phase on every geometry.
SMALL = {
    "esp8266": ("patch", "hang", "alone", "console", "lying"), "mk3060": ("patch", "coap"), "mk3080": ("patch", "gives-up"), "developerkit": ("patch", "hang"),
}


@dataclass(frozen=True)
class Task:
    """One run of the prover: the operations (or seeds, or allocations) [start, end) of a scenario. starved: so many allocations fail."""

    board: str
    size: str
    scenario: str
    start: int
    end: int
    every: int = 1
    seeds: int = 1
    pairs: int = 0
    salt: int = 0
    starved: int = 0

    @property
    def plan(self):
        return f"{self.start},{self.end},{self.every},{self.seeds},{self.pairs},{self.salt},{self.starved}"

    @property
    def key(self):
        return f"{self.board}/{self.size}/{self.scenario}/{self.plan}"


@dataclass
class Result:
    operations: int = 0
    lives: int = 0
    failures: list = field(default_factory=list)  # (id, words)
    cuts: list = field(default_factory=list)  # (phase, is erase, shape, count)
    states: bytes = b""  # 64-bit hashes


class Prover:
    """The two programs of a source tree, and what they run on. source: where ota/ is."""

    def __init__(self, folder, source=ROOT, program=None):
        self.folder = Path(folder)
        self.source = source
        self.program = program or self.folder / "prover"
        self.library = self.folder / "libsim.so"

    def build(self):
        targets = [str(self.library)] + ([str(self.program)] if self.program.parent == self.folder else [])
        done = subprocess.run(["make", "-C", str(HERE), f"OUT={self.folder}", f"SRC={self.source}",
                               f"MICROPY_TOP={micropython()}", *targets], capture_output=True, text=True)
        if done.returncode:
            raise CampaignError(done.stdout[-2000:] + done.stderr[-4000:])

    def fingerprint(self):
        """Of everything a life depends on."""
        digest = hashlib.sha256()
        files = [self.program, self.library, HERE / "world.py", *sorted(self.source.glob("ota/**/*.py")), *sorted(HERE.glob("device/*.py"))]
        for file in files:
            digest.update(file.read_bytes())
        return digest.hexdigest()[:16]

    def world(self, board, size):
        folder = BUILD / "prove" / "world" / f"{board}-{size}"
        stamp = folder / "stamp"
        wanted = hashlib.sha256((HERE / "world.py").read_bytes()).hexdigest() + patch.build.digest()
        if not stamp.exists() or stamp.read_text() != wanted:
            world.make(folder, board, size)
            stamp.write_text(wanted)
        return folder

    def live(self, task, cuts="-", states="-", **environment):
        """Runs the program. If allocations fail, the device's modules are the frozen ones, as on a board: what an import takes counts."""
        heap = "24m" if task.size == "full" else "2m"
        path = ".frozen" if task.starved and self.source == ROOT else f"{self.source}:{BUILD / 'lib'}"
        said = "\t".join((str(self.world(task.board, task.size)), task.scenario, task.plan, cuts, str(states)))
        return subprocess.run(
            [str(self.program), "-X", f"heapsize={heap}", "-m", "main"], cwd=HERE / "device", input=said + "\n",
            env={**os.environ, "MPOTA_SIM": str(self.library), "MICROPYPATH": path, **environment},
            capture_output=True, text=True, timeout=TIMEOUT_S)  # fmt: skip

    def run(self, task, **more):
        states = self.folder / f"states-{hashlib.sha256(task.key.encode()).hexdigest()[:16]}"
        done = self.live(task, states=states, **more)
        lines = done.stdout.splitlines()
        if done.returncode or not lines or not lines[-1].startswith("DONE"):
            raise CampaignError(f"{task.key}, status {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        _, operations, stats = lines[-1].split(" ", 2)
        lives, _, _, cuts = ast.literal_eval(stats)
        prefix = f"{task.board}/{task.size}/{task.scenario}"
        failures = [(f"{prefix}/{cut}", words) for cut, words in (line.split(" ", 2)[1:] for line in lines if line.startswith("FAIL "))]
        data = states.read_bytes()
        states.unlink()
        return Result(int(operations), lives, failures, [tuple(row) for row in cuts], data)

    def replay(self, identity):
        """Runs one life and returns (failed, the life in words)."""
        board, size, scenario, cuts = identity.split("/")
        first, starved = 0, 0
        if cuts[0] in "ms":  # mALLOCATION.COUNT or sSEED
            first, _, starved = cuts[1:].partition(".")
            cuts = "-"
        task = Task(board, size, scenario, int(first), int(first) + (cuts == "-"), starved=int(starved or 0))
        done = self.live(task, cuts, MPOTA_VERBOSE="1")
        text = "\n".join(line for line in done.stdout.splitlines() if not line.startswith("DONE")) + done.stderr
        return "FAIL" in done.stdout or done.returncode != 0, text


def micropython():
    return Path(os.environ.get("MICROPY_DIR") or BUILD / "src" / "micropython").resolve()


def tasks_of(board, depth, count):
    """All tasks of a board. count(board, size, scenario) runs a life uncut and returns its operations."""

    def every_operation(size, scenario, n, *numbers):
        return chunks(Task(board, size, scenario, 1, count(board, size, scenario) + 1, *numbers), n)

    small = depth is DEPTHS["small"]
    for scenario in SMALL[board] if small else CUT:
        yield from every_operation("small", scenario, 150, depth.every, depth.seeds, 0, 1)
    for scenario in SMALL[board][:1] if small else PAIRED:
        yield from every_operation("tiny", scenario, 20, depth.pairs_every, 0, depth.pairs, 2)
    for scenario in PAIRED[:3] if depth.full else ():
        yield from every_operation("full", scenario, 4000, depth.full, 1, 0, 3)
        yield from every_operation("full", scenario, 4000, depth.full * 20, 1, depth.full * 4, 4)
    for scenario in RANDOM:
        yield from chunks(Task(board, "tiny", scenario, 0, depth.lives), 25)


def chunks(task, n):
    """The task in parts of about n operations."""
    for start in range(task.start, task.end, n):
        yield replace(task, start=start, end=min(start + n, task.end))


class Journal:
    """Results of tasks, kept for a campaign that is stopped."""

    def __init__(self, path, fingerprint):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path)
        self._db.execute("create table if not exists result (fingerprint, task, result, states blob, primary key (fingerprint, task))")
        self._db.execute("delete from result where fingerprint != ?", (fingerprint,))
        self._fingerprint = fingerprint

    def get(self, key):
        row = self._db.execute("select result, states from result where fingerprint = ? and task = ?", (self._fingerprint, key)).fetchone()
        return row and Result(*json.loads(row[0]), row[1])

    def put(self, key, result):
        fields = json.dumps([result.operations, result.lives, result.failures, result.cuts])
        self._db.execute("insert or replace into result values (?, ?, ?, ?)", (self._fingerprint, key, fields, result.states))
        self._db.commit()


@dataclass
class Total:
    """What became of one board."""

    lives: int = 0
    operations: int = 0  # of all scenarios, run uncut
    cuts: int = 0
    phases: dict = field(default_factory=dict)
    shapes: set = field(default_factory=set)
    states: set = field(default_factory=set)
    failures: list = field(default_factory=list)

    def add(self, result):
        self.lives += result.lives
        self.failures += [tuple(f) for f in result.failures]
        for phase, erase, shape, n in result.cuts:
            self.cuts += n
            self.phases[PHASES[phase]] = self.phases.get(PHASES[phase], 0) + n
            self.shapes.add((erase, shape))
        self.states.update(struct.unpack(f"<{len(result.states) // 8}Q", result.states))

    def faults(self, needed, states):
        """Why the campaign itself is not good enough: it did not look where it matters."""
        if not self.operations:
            yield "no operation was counted"
        yield from (f"no cut fell inside {phase}" for phase in needed if not self.phases.get(phase))
        if len(self.states) <= states:
            yield f"{len(self.states)} distinct states are not more than {states}"


def campaign(prover, boards, depth, journal, show=None):
    """Runs everything that the journal does not hold. Returns {board: Total}. show(done, total, words)."""
    totals = {board: Total() for board in boards}

    def count(board, size, scenario):
        result = run_once(prover, Task(board, size, scenario, 0, 0), journal)
        totals[board].add(result)
        totals[board].operations += result.operations
        return result.operations

    for task, result in run_all(prover, [task for board in boards for task in tasks_of(board, depth, count)], journal, show):
        totals[task.board].add(result)
    return totals


def run_once(prover, task, journal):
    """The task's result, from the journal if that holds it."""
    result = journal.get(task.key)
    if not result:
        result = prover.run(task)
        journal.put(task.key, result)
    return result


def run_all(prover, tasks, journal, show=None):
    """Yields (task, its result) as they come."""
    tasks.sort(key=lambda task: hashlib.sha256(task.key.encode()).digest())  # so that the time left can be told
    done = failures = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        known = [(task, journal.get(task.key)) for task in tasks]
        running = {pool.submit(prover.run, task): task for task, result in known if not result}
        for task, result in known:
            if result:
                done += 1
                failures += len(result.failures)
                yield task, result
        for future in as_completed(running):
            task, result = running[future], future.result()
            journal.put(task.key, result)
            done += 1
            failures += len(result.failures)
            if show:
                show(done, len(tasks), f"{failures} failures")
            yield task, result
