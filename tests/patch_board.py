"""Builds the patch decoder for a bare LX106 and Cortex-M4 and runs it under QEMU, counting instructions."""

import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
QEMU = ROOT / "tests" / "qemu"
CORE = ["patch.c", "patch_model.c", "patch_sites.c", "patch_tables.c", "patch_symbols.c", "patch_archs.c", "patch_arch_raw.c",
        "patch_arch_xtensa.c", "patch_arch_arm.c", "patch_arch_x86.c"]
MACHINES = {
    "lx106": {
        "prefix": "xtensa-lx106-elf-",
        "flags": ["-mlongcalls", "-mtext-section-literals"],
        "run": ["qemu-system-xtensa", "-M", "lx60-nommu", "-cpu", "lx106", "-semihosting", "-device", "loader,file={},cpu-num=0"],
    },
    "m4": {
        "prefix": "arm-none-eabi-",
        "flags": ["-mcpu=cortex-m4", "-mthumb"],
        "run": ["qemu-system-arm", "-M", "mps2-an386", "-semihosting", "-kernel", "{}"],
    },
}


def missing(machine):
    """The first tool that is not installed, or None."""
    m = MACHINES[machine]
    return next((tool for tool in (m["prefix"] + "gcc", m["run"][0]) if not shutil.which(tool)), None)


def compile_flags(machine):
    m = MACHINES[machine]
    return [m["prefix"] + "gcc", "-std=gnu99", "-Os", "-ffreestanding", "-Wall", "-Wextra", *m["flags"],
            f"-I{QEMU}", f"-isystem{QEMU / 'include'}", f"-I{ROOT / 'ota' / 'core'}"]


def build(machine, where):
    """The runner's ELF in directory `where`."""
    elf = Path(where) / f"patch-{machine}.elf"
    sources = [QEMU / "patch_main.c", QEMU / f"bare_{machine}.c", QEMU / "bare_string.c", *(ROOT / "ota" / "core" / f for f in CORE)]
    subprocess.run([*compile_flags(machine), "-nostdlib", "-fno-tree-loop-distribute-patterns", "-T", str(QEMU / f"bare_{machine}.ld"),
                    *map(str, sources), "-lgcc", "-o", str(elf)], check=True)
    return elf


def code_size(machine, where):
    """Bytes of code and tables of each core file at -Os."""
    prefix = MACHINES[machine]["prefix"]
    sizes = {}
    for f in CORE:
        out = Path(where) / f"{machine}-{f}.o"
        subprocess.run([*compile_flags(machine), "-c", str(ROOT / "ota" / "core" / f), "-o", str(out)], check=True)
        line = subprocess.run([prefix + "size", str(out)], check=True, capture_output=True, text=True).stdout.splitlines()[1]
        sizes[f] = int(line.split()[0]) + int(line.split()[1])
    return sizes


MOST = 1_000_000  # instructions that a sector may take
WHOLE, BYTES = 0, 1  # how a patch is fed; a number above is the seed of random splits


def run(machine, elf, old, patch):
    """(result code, new image, [instructions per sector], [reads per sector]) of one patch, fed whole, instructions counted."""
    result, new, counts = run_all(machine, elf, [(old, patch, WHOLE)], "-icount", "shift=0")[0]
    return result, new, list(counts[::2]), list(counts[1::2])


def longest(machine, elf, old, new, patch):
    """Instructions of the sector that takes most."""
    result, got, instructions, _ = run(machine, elf, old, patch)
    assert (result, got) == (0, new)
    return max(instructions)


def run_all(machine, elf, cases, *options):
    """[(result code, what was put out, instructions and reads of each sector in turn)] of cases (old, patch, fed)."""
    with tempfile.TemporaryDirectory() as where:
        where = Path(where)
        (where / "cases").write_bytes(b"".join(map(_case, cases)))
        command = [part.format(elf) for part in MACHINES[machine]["run"]]
        subprocess.run([*command, *options, "-display", "none", "-monitor", "none", "-serial", "none"], cwd=where, timeout=600,
                       check=True, stdin=subprocess.DEVNULL)
        return list(_results((where / "counts").read_bytes(), (where / "new").read_bytes(), len(cases)))


def _case(case):
    old, patch, fed = case
    return struct.pack("<3I", len(old), len(patch), fed) + old + bytes(-len(old) % 4) + patch + bytes(-len(patch) % 4)


def _results(counts, new, cases):
    at = done = 0
    for _ in range(cases):
        result, size, _, sectors = struct.unpack_from("<iIII", counts, at)
        yield result, new[done : done + size], struct.unpack_from(f"<{2 * sectors}I", counts, at + 16)
        at, done = at + 16 + 8 * sectors, done + size
