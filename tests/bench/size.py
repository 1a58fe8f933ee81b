"""Flash and RAM of each board's firmware, second boot and core, from the objects that the builds left.

Run after `make otaapp@esp8266` and `make otaapp@linuxhost`; `make size` does both.
"""
# SPDX-License-Identifier: MIT

import subprocess
import sys
from pathlib import Path

BUILD = Path(sys.argv[1])
CROSS = "xtensa-lx106-elf-"
BUDGETS = {"second boot": 16 * 1024, "_ota": 10 * 1024}


def sizes(tool, *paths):
    """(text, data, bss) summed, bytes."""
    said = subprocess.run([f"{tool}size", *map(str, paths)], check=True, capture_output=True, text=True).stdout
    rows = [list(map(int, line.split()[:3])) for line in said.splitlines()[1:]]
    return [sum(column) for column in zip(*rows)]


def line(board, what, text, data, bss):
    budget = BUDGETS.get(what.split(",")[0])
    verdict = "" if budget is None or board == "linuxhost" else f"  budget {budget}: {'met' if text + data <= budget else 'missed'}"
    print(f"{board:10} {what:34} flash {text + data:>7}  RAM {data + bss:>6}{verdict}")


def esp8266():
    folder = BUILD / "esp8266"
    line("esp8266", "second boot, console included", *sizes(CROSS, folder / "second_boot.elf"))
    line("esp8266", "firmware", *sizes(CROSS, folder / "firmware" / "firmware.elf"))
    objects = folder / "firmware"
    core = sorted((objects / "core").glob("*.o"))
    patch = [path for path in core if path.name.startswith("patch")]
    rest = [path for path in core if path not in patch]
    line("esp8266", "_ota, all of it", *sizes(CROSS, *core, *(objects / "module").glob("*.o")))
    line("esp8266", "  patch decoder", *sizes(CROSS, *patch))
    line("esp8266", "  image, trailer, RSA, SHA-256", *sizes(CROSS, *rest))
    line("esp8266", "  binding", *sizes(CROSS, *(objects / "module").glob("*.o")))


def linuxhost():
    folder = BUILD / "linuxhost"
    line("linuxhost", "firmware", *sizes("", folder / "micropython" / "firmware"))


esp8266()
linuxhost()
