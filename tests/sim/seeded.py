"""Break it on purpose: faults seeded into a copy of the code under test, each of which the campaign must find.

A list of tests of the campaign, not of the code. Every fault is a few lines of the real source changed.
"""
# SPDX-License-Identifier: MIT

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from campaign import BUILD, ROOT, Prover, Task


@dataclass(frozen=True)
class Fault:
    """name: what is wrong. edits: (file, text that is there, text instead). runs: (board, size, scenario, plan) until one finds it."""

    name: str
    edits: tuple
    runs: tuple


def plan(start=1, end=100_000, every=24, seeds=1, pairs=0, salt=5, starved=0):
    return f"{start},{end},{every},{seeds},{pairs},{salt},{starved}"


FAULTS = (
    Fault(
        "trailer erased before its marks are zeroed",
        (("ota/slot.py", "        self._forget()\n        self._flash.erase", "        self._flash.erase"),),
        (("esp8266", "tiny", "gives-up", plan(every=10_000, seeds=40)), ("mk3080", "tiny", "gives-up", plan(every=10_000, seeds=20))),
    ),
    Fault(
        "commit written before verify",
        (
            ("ota/update.py", "            yield from self._authenticate()\n        except", "            slot.commit(max(self._active.sequence, slot.sequence) + 1, 3)\n            yield from self._authenticate()\n        except"),
        ),
        (("esp8266", "tiny", "foreign", plan()), ("esp8266", "tiny", "lying", plan())),
    ),
    Fault(
        "single instead of double marks",
        (
            ("ota/slot.py", "        for _ in range(copies):\n", "        for _ in range(1):\n"),
            ("ota/slot.py", "    def mend(self):\n", "    def mend(self):\n        return\n\n    def _mend(self):\n"),
            ("ota/core/boot.c", "static void mend(const struct boot *s, uint8_t slot) {\n", "static void mend(const struct boot *s, uint8_t slot) {\n    if (s != NULL) {\n        return;\n    }\n"),
        ),
        (("esp8266", "tiny", "image", plan(every=10_000, seeds=60)), ("esp8266", "tiny", "twice", plan(every=10_000, seeds=60))),
    ),
    Fault(
        "counter floor taken from an unconfirmed slot",
        (
            ("ota/core/boot.c", "    s.trust.min_counter = s.newest == NONE ? 0 : b->trailer[s.newest].counter;\n",
             "    s.trust.min_counter = b->trailer[0].counter > b->trailer[1].counter ? b->trailer[0].counter : b->trailer[1].counter;\n"),
        ),
        (("esp8266", "tiny", "hang", plan()),),
    ),
    Fault(
        "resume trusts sectors that look erased",
        (
            ("ota/slot.py", "            self._flash.erase(offset, size)\n",
             "            old = bytearray(size)\n            self._flash.read(offset, old)\n"
             "            if old != b\"\\xff\" * len(old):\n                self._flash.erase(offset, size)\n"),
        ),
        (("mk3060", "tiny", "twice", plan(every=4, seeds=40)),),
    ),
    Fault(
        "a message that there is no memory for stops the service",
        (("ota/transport/mqtt.py", "        except MemoryError as e:\n            self.lost(e)  # what was not said", "        except ValueError as e:\n            self.lost(e)  # what was not said"),),
        (("esp8266", "tiny", "image", plan(every=20, starved=20)),),
    ),
    Fault(
        "tried mark written after the jump",
        (("ota/core/boot.c", "    return append(s, slot, &m, 1) == OTA_OK && start(", "    return m.kind != 0 && start("),),
        (("esp8266", "tiny", "hang", plan()),),
    ),
)


def copy_with(fault, folder):
    """A copy of ota/ with the fault in it."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "ota", folder / "ota")
    for name, there, instead in fault.edits:
        file = folder / name
        text = file.read_text()
        if text.count(there) != 1:
            raise AssertionError(f"{fault.name}: {name} does not hold exactly once: {there!r}")
        file.write_text(text.replace(there, instead))
    return folder


def prover_of(fault, index):
    """A prover of the code with the fault in it."""
    folder = BUILD / "prove" / f"fault-{index}"
    prover = Prover(folder, copy_with(fault, folder), BUILD / "prove" / "prover")
    prover.build()
    return prover


def find(fault, index):
    """The first failure that the campaign finds, (id, words), or None."""
    prover = prover_of(fault, index)
    for board, size, scenario, numbers in fault.runs:
        result = prover.run(Task(board, size, scenario, *(int(n) for n in numbers.split(","))), MPOTA_ONLY_FIRST="1")
        if result.failures:
            return result.failures[0]
    return None


def check(console):
    """True if every fault was found."""
    Prover(BUILD / "prove").build()
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(find, FAULTS, range(1, len(FAULTS) + 1)))
    for fault, failure in zip(FAULTS, found):
        words = f"found: {failure[1]} ({failure[0]})" if failure else "[red]NOT FOUND[/red]"
        console.print(f"seeded fault: {fault.name}: {words}", soft_wrap=True)
    return all(found)


if __name__ == "__main__":
    from rich.console import Console

    raise SystemExit(0 if check(Console()) else 1)
