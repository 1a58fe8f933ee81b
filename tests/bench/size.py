"""Flash and RAM of each board's firmware and second boot, and of `_ota` in it, beside the budgets.

Run after `make otaapp@esp8266` and `make otaapp@linuxhost`; `make size` does both. What a part takes is read from the linker's map:
without what nothing calls, and with the linker's own savings.
"""
# SPDX-License-Identifier: MIT

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = Path(sys.argv[1])
CROSS = "xtensa-lx106-elf-"
SECOND_BOOT_BUDGET, MODULE_BUDGET = 16 * 1024, 10 * 1024
PART = re.compile(r"^ (?:\.\S+|COMMON)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S+\.o)$", re.M)
PATCH, COAP = re.compile("core/patch"), re.compile("core/(md5|coap)")
CORE, BINDING = re.compile("module/../core/"), re.compile("module/modota")


def elf_size(tool, path):
    """(flash, RAM) bytes of an executable."""
    said = subprocess.run([f"{tool}size", path], check=True, capture_output=True, text=True).stdout
    text, data, bss = map(int, said.splitlines()[1].split()[:3])
    return text + data, data + bss


def linked(path):
    """Bytes of each object in the executable, by its name in the map."""
    text = path.read_text()
    parts = Counter()
    for address, size, name in PART.findall(text[text.index("Linker script and memory map") :]):
        if int(address, 16):
            parts[name] += int(size, 16)
    return parts


def stack(sources, flags):
    """(bytes, function) of the largest frame."""
    with tempfile.TemporaryDirectory() as folder:
        for source in sources:
            subprocess.run([f"{CROSS}gcc", *flags, "-fstack-usage", "-c", source, "-o", Path(folder, f"{source.stem}.o")], check=True)
        lines = [line.split("\t") for path in Path(folder).glob("*.su") for line in path.read_text().splitlines()]
    return max((int(size), place.rpartition(":")[2]) for place, size, _ in lines)


def tell(board, what, flash, ram=None, budget=None, reason=""):
    verdict = "" if budget is None else f"  budget {budget}: {'met' if flash <= budget else 'missed' + reason}"
    print(f"{board:10} {what:34} flash {flash:>7}  {'' if ram is None else f'RAM {ram:>6}'}{verdict}")


def esp8266():
    folder = BUILD / "esp8266"
    tell("esp8266", "second boot, console included", *elf_size(CROSS, folder / "second_boot.elf"), SECOND_BOOT_BUDGET)
    tell("esp8266", "firmware", *elf_size(CROSS, folder / "firmware" / "firmware.elf"))
    parts = linked(folder / "firmware" / "firmware.map")

    def of(*patterns, without=()):
        return sum(n for name, n in parts.items() if any(p.search(name) for p in patterns) and not any(p.search(name) for p in without))

    core = of(CORE, without=(PATCH, COAP))
    tell("esp8266", "_ota, all of it", of(CORE, BINDING), None, MODULE_BUDGET,
         f": image, trailer, RSA and SHA-256 alone take {core}, which a trial needs, and the patch decoder {of(PATCH)}")  # fmt: skip
    tell("esp8266", "  patch decoder", of(PATCH))
    tell("esp8266", "  image, trailer, RSA, SHA-256", core)
    tell("esp8266", "  CoAP messages and their MD5", of(COAP))
    tell("esp8266", "  binding", of(BINDING))
    flags = ["-std=c99", "-Os", "-mlongcalls", "-mtext-section-literals", "-I", ROOT / "boards/emulator/include", "-I", folder / "gen",
             "-I", ROOT / "ota/second_boot"]  # fmt: skip
    names = ("boot", "image", "rsa", "sha256", "trailer")
    sources = [*(ROOT / "ota" / "core" / f"{name}.c" for name in names), *(ROOT / "ota/second_boot" / f"{name}.c" for name in ("console", "esp8266", "second_boot"))]
    frame, function = stack(sources, flags)
    print(f"esp8266    second boot, largest stack frame   {frame} bytes, {function}, of the ROM's 5328")


def linuxhost():
    tell("linuxhost", "firmware", *elf_size("", BUILD / "linuxhost" / "micropython" / "firmware"))


esp8266()
linuxhost()
