"""Runs the fuzzers (Makefile) for a time each, two at a time, and tells what they found.

run.py [--seconds N] [--only NAME] [--input FILE]. What a run finds worth keeping stays in build/fuzz/corpus and is where the next
run begins; an input that breaks something is written to build/fuzz/found.
"""
# SPDX-License-Identifier: MIT

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click
from mpota.cli.common import print_table
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parent))

import seeds

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "fuzz"
BUILD = Path(os.environ.get("MPOTA_BUILD", ROOT / "build"))
OUT = BUILD / "fuzz"
IN_C = ("image", "trailer", "patch", "ymodem")
MAX_LENGTH = 16384
GRACE_S = 600  # a loaded machine is no find


@dataclass(frozen=True)
class Outcome:
    name: str
    log: str
    status: int

    def number(self, pattern):
        found = re.findall(pattern, self.log)
        return int(found[-1]) if found else 0

    @property
    def runs(self):
        return self.number(r"number_of_executed_units: (\d+)")

    @property
    def row(self):
        pace, features = self.number(r"average_exec_per_sec: +(\d+)"), self.number(r" ft: (\d+)")
        return self.name, f"{self.runs:,}", f"{pace:,}", f"{features:,}", self.verdict

    @property
    def verdict(self):
        found = re.findall(r"Test unit written to (\S+)", self.log)
        if found:
            return f"make fuzz ONLY={self.name} INPUT={found[-1]}"
        return "nothing" if self.status == 0 else f"status {self.status}"


def build():
    micropython = Path(os.environ.get("MICROPY_DIR") or BUILD / "src" / "micropython").resolve()
    done = subprocess.run(["make", "-C", str(HERE), f"OUT={OUT}", f"MICROPY_TOP={micropython}", f"PYTHON={sys.executable}"],
                          capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(done.stdout[-2000:] + done.stderr[-4000:])
    seeds.write(OUT / "seeds")


def program(name):
    if name in IN_C:
        return [str(OUT / f"fuzz_{name}")]
    return [str(OUT / "fuzz_python"), "-X", "heapsize=1m", str(HERE / "device" / "main.py"), name]


def environment(**more):
    path = f"{HERE / 'device'}:{ROOT / 'tests' / 'sim' / 'device'}:{ROOT}:{BUILD / 'lib'}"
    return {**os.environ, "MICROPYPATH": path, "ASAN_OPTIONS": "detect_leaks=0", **more}


def fuzz(name, seconds):
    """One target for some seconds."""
    kept, found, known = OUT / "corpus" / name, OUT / "found", HERE / "corpus" / name
    for folder in (kept, found):
        folder.mkdir(parents=True, exist_ok=True)
    command = [*program(name), str(kept), str(OUT / "seeds" / name), *([str(known)] if known.is_dir() else []),
               f"-max_total_time={seconds}", f"-artifact_prefix={found}/{name}-", f"-dict={HERE / 'words.dict'}", f"-max_len={MAX_LENGTH}",
               "-timeout=60", "-print_final_stats=1"]
    done = subprocess.run(command, env=environment(), capture_output=True, timeout=seconds + GRACE_S)
    return Outcome(name, (done.stdout + done.stderr).decode(errors="replace"), done.returncode)


def replay(name, file, **more):
    """Runs one input; its words and whether it was bad. more: of the environment."""
    done = subprocess.run([*program(name), str(file)], env=environment(**more), capture_output=True, timeout=GRACE_S)
    return (done.stdout + done.stderr).decode(errors="replace"), done.returncode != 0


def campaign(names, seconds):
    """All outcomes. Two at a time, whatever the machine has: a figure of a run is then worth the same everywhere."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda name: fuzz(name, seconds), names))


def print_outcomes(console, outcomes):
    print_table(("target", "runs", "per second", "features", "found"), [outcome.row for outcome in outcomes], "Fuzzing")
    for outcome in outcomes:
        if outcome.status:
            console.print(outcome.log[-3000:], markup=False, highlight=False)


@click.command()
@click.option("--seconds", default=60, show_default=True, help="For each target.")
@click.option("--only", type=click.Choice(list(seeds.TARGETS)), help="This target.")
@click.option("--input", "file", type=click.Path(exists=True), help="Run one input of --only again.")
def main(seconds, only, file):
    """Feeds every parser of outside bytes with what nobody would send."""
    build()
    if file:
        words, bad = replay(only, file)
        print(words)
        sys.exit(bad)
    outcomes = campaign([only] if only else list(seeds.TARGETS), seconds)
    print_outcomes(Console(), outcomes)
    sys.exit(any(outcome.status for outcome in outcomes))


if __name__ == "__main__":
    main()
