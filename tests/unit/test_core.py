"""What the core may contain (house style 20 and 30)."""

import re
import subprocess

import pytest

from otacore import BUILD, CORE, WARNINGS

STANDARD = {"stdint.h", "stddef.h", "stdbool.h", "string.h"}
FILES = sorted([*CORE.glob("*.c"), *CORE.glob("*.h")])
SOURCES = [path for path in FILES if path.suffix == ".c"]
COMPILERS = {
    "host": ["gcc", "-fno-pie", "-O2"],
    "host, limbs of 16 bits": ["gcc", "-fno-pie", "-O2", "-DOTA_RSA_LIMB_BITS=16"],
    "Cortex-M4": ["arm-none-eabi-gcc", "-Os", "-mcpu=cortex-m4", "-mthumb", "--specs=picolibc.specs"],
    "ARMv5": ["arm-none-eabi-gcc", "-Os", "-march=armv5te", "--specs=picolibc.specs"],
    "LX106": ["xtensa-lx106-elf-gcc", "-Os", "-mlongcalls", "-mtext-section-literals", "-ffreestanding",
              "-isystem", str(CORE.parent.parent / "tests/bench/lx106/include")],
}
# What a library of the compiler would have to bring; the LX106's has no division and no wide multiplication.
# GCC 13 makes of four bytes a word that libgcc turns round.
ALLOWED = {"memcpy", "memmove", "memset", "memcmp", "__bswapsi2"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_core_includes_only_itself_and_four_standard_headers(path):
    for kind, name in re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)', path.read_text(), re.M):
        if kind == "<":
            assert name in STANDARD
        else:
            assert "/" not in name and (CORE / name).exists()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_core_files_are_short_and_say_their_licence(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 600
    assert "SPDX-License-Identifier: MIT" in lines[1]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_core_functions_are_short(path):
    text = path.read_text()
    for body in re.findall(r"^\w[^;\n]*\{\n(.*?)^\}", text, re.M | re.S):
        assert body.count("\n") <= 60


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_core_compiles_without_warnings_and_needs_no_library(path, compiler):
    out = BUILD / "tests" / "compiled" / f"{path.stem}-{re.sub(r'[^a-z0-9]+', '-', compiler.lower())}.o"
    out.parent.mkdir(parents=True, exist_ok=True)
    command = COMPILERS[compiler]
    subprocess.run([*command, *WARNINGS, "-c", "-o", str(out), str(path)], check=True)
    undefined = subprocess.run(["nm", "-u", str(out)] if command[0] == "gcc" else [command[0].replace("gcc", "nm"), "-u", str(out)],
                               check=True, capture_output=True, text=True).stdout.split()
    names = {name for name in undefined if name != "U"}
    assert {name for name in names if not name.startswith(("ota_", "patch_"))} <= ALLOWED
    writable = subprocess.run(["size", str(out)] if command[0] == "gcc" else [command[0].replace("gcc", "size"), str(out)],
                              check=True, capture_output=True, text=True).stdout.splitlines()[1].split()[1:3]
    assert writable == ["0", "0"], "the core has no data of its own"
