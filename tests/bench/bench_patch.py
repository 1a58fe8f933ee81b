"""Prints what patches cost: their sizes beside other engines', then the decoder's instructions, code, state and reads.

    make bench CORPUS=folder

The pairs are those that the folder's README.md lists; without one, the two firmwares of this repository, each with two applications. Runs in
the environment that `tools/setup bench` makes. Nothing is asserted."""
# SPDX-License-Identifier: MIT

import math
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests")]

import patch_board
from mpota import patch
from patch_pairs import CORPUS, corpus_pairs
from rivals import RIVALS

BUILD = Path(os.environ.get("MPOTA_BUILD") or ROOT / "build")
STATES = (16384, 8192, 6144, 4096)
DECODED = (16384, 8192)  # whose patches the emulated chips decode
GOALS = {16384: 0.20, 8192: 0.22}
SIZE_GOALS = {"esp8266-v1.9.4 to esp8266-v1.10": 41_000}
MEAN = "geometric mean of the ratio to bsdiff"
SECTOR_BUDGET = 1_000_000
CODE_GOAL = 5 * 1024
CHIPS = {"lx106": "LX106", "m4": "Cortex-M4"}
OWN = {"lx106": "xtensa", "m4": "arm"}  # the file of the architecture that a chip's own images need
# Measured at -Os with the compilers used here when the other engines were surveyed; they are not built again.
OTHERS = {"HPatchLite with tinyuz": {"lx106": 2825, "m4": 2120}, "detools with heatshrink": {"lx106": 5318, "m4": 4056}}


def pairs():
    """The corpus, or what can be built here."""
    found = corpus_pairs()  # says so if there is none
    if found:
        print(f"patches: {len(found)} pairs of {os.path.relpath(CORPUS, ROOT)}")
    return found or [own_pair(board) for board in ("esp8266", "linuxhost")]


def own_pair(board):
    images = []
    for app, version in (("otaapp", "1.0.0"), ("tests/apps/bench", "1.1.0")):
        out = BUILD / "bench" / "patch" / f"{board}-{version}.img"
        command = ["make", "-C", ROOT, f"otaapp@{board}", f"OUT={out}", f"APP={app}", f"VERSION={version}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        images.append(out.read_bytes())
    return (f"{board}: otaapp to bench", *images)


def sizes(pair):
    """{engine or state: bytes} of one pair, and its patches by state."""
    _, old, new = pair
    patches = {state: patch.make(old, new, state=state) for state in STATES}
    return {name: size(old, new) for name, size in RIVALS.items()} | {state: len(made) for state, made in patches.items()}, patches


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def verdict(value, most):
    return "met" if value <= most else "missed"


def print_sizes(found, measured):
    columns = [*RIVALS, *STATES]
    heads = [*RIVALS, *(f"ours {state // 1024}K" for state in STATES)]
    width = max(len(MEAN), *(len(name) for name, _, _ in found))

    def row(name, cells):
        print(f"{name:<{width}}  " + " ".join(f"{cell:>{max(8, len(head))}}" for cell, head in zip(cells, ["new", *heads])))

    row("patch bytes", ["new", *heads])
    for (name, _, new), (of, _) in zip(found, measured):
        row(name, [len(new), *(of[column] for column in columns)])
    means = {column: geometric_mean([of[column] / of["bsdiff"] for of, _ in measured]) for column in columns}
    row(MEAN, ["", *(f"{means[column]:.3f}" for column in columns)])
    if set(SIZE_GOALS) <= {name for name, _, _ in found}:
        print_goals(found, measured, means)


def print_goals(found, measured, means):
    """The goals are for the corpus."""
    for state, goal in GOALS.items():
        print(f"patches: {state // 1024} KiB of state: {means[state]:.3f} of bsdiff's, goal {goal}: {verdict(means[state], goal)}")
    for (name, _, _), (of, _) in zip(found, measured):
        if name in SIZE_GOALS:
            print(f"patches: {name}: {of[STATES[0]]:,} bytes, goal {SIZE_GOALS[name]:,}: {verdict(of[STATES[0]], SIZE_GOALS[name])}")


def print_encoder(pair):
    """Time and memory for one pair, the largest, in a process of its own."""
    name, old, new = pair
    with tempfile.TemporaryDirectory() as folder:
        for file, data in (("old", old), ("new", new)):
            Path(folder, file).write_bytes(data)
        script = "import sys; from pathlib import Path; from mpota import patch; patch.make(*(Path(p).read_bytes() for p in sys.argv[1:]))"
        start = time.monotonic()
        child = subprocess.Popen([sys.executable, "-c", script, f"{folder}/old", f"{folder}/new"], env={**os.environ, "PYTHONPATH": str(ROOT / "tools")})
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    print(f"encoder: {name}, {len(new)} bytes: {usage.ru_utime + usage.ru_stime:.1f} s of one core (goal 10 for 640 KB), "
          f"{time.monotonic() - start:.1f} s by the clock, {usage.ru_maxrss / 1024:.0f} MiB (goal 1024)")


def print_decoder(machine, found, measured, where):
    """Instructions and reads of the bare chip, which must make the very image."""
    if patch_board.missing(machine):
        print(f"{CHIPS[machine]}: {patch_board.missing(machine)} is not installed")
        return
    elf = patch_board.build(machine, where)
    worst = 0
    for state in DECODED:
        for (name, old, new), (_, patches) in zip(found, measured):
            result, got, instructions, reads = patch_board.run(machine, elf, old, patches[state])
            assert (result, got) == (0, new), (machine, name, state, result)
            worst = max(worst, *instructions)
            print(f"{CHIPS[machine]:<9}  {state // 1024:>2} KiB  {name}: {sum(instructions) / len(new):.0f} instructions a byte, worst sector "
                  f"{max(instructions):,}; reads of both images {sum(reads)}, worst sector {max(reads)}; state {patch.info(patches[state])['state_bytes']} bytes")
    print(f"{CHIPS[machine]:<9}  worst sector of all {worst:,} instructions, budget {SECTOR_BUDGET:,}: {verdict(worst, SECTOR_BUDGET)}")


def print_code(machine, where):
    """Code and tables at -Os, of the decoder for a chip's own images and for all."""
    if patch_board.missing(machine):
        return
    parts = patch_board.code_size(machine, where)
    foreign = sum(size for file, size in parts.items() if file.startswith("patch_arch_") and file not in ("patch_arch_raw.c", f"patch_arch_{OWN[machine]}.c"))
    everything = sum(parts.values())
    goal = f", goal {CODE_GOAL}: {verdict(everything - foreign, CODE_GOAL)}" if machine == "lx106" else ""
    print(f"{CHIPS[machine]:<9}  code at -Os: raw and {OWN[machine]} {everything - foreign} bytes{goal}; all architectures {everything}; "
          + ", ".join(f"{name} {size[machine]}" for name, size in OTHERS.items()))


def main():
    sys.stdout.reconfigure(line_buffering=True)
    found = pairs()
    patch.build.libraries()
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        measured = list(pool.map(sizes, found))
    print_sizes(found, measured)
    print_encoder(max(found, key=lambda pair: len(pair[2])))
    with tempfile.TemporaryDirectory() as where:
        for machine in patch_board.MACHINES:
            print_decoder(machine, found, measured, where)
        for machine in patch_board.MACHINES:
            print_code(machine, where)


if __name__ == "__main__":
    main()
