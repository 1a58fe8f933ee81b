"""Builds the patch decoder for a bare LX106 and Cortex-M4 and runs it under QEMU, counting instructions."""

import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
QEMU = ROOT / "tests" / "qemu"
CORE = ["patch.c", "patch_coder.c", "patch_model.c", "patch_sites.c", "patch_symbols.c", "patch_archs.c", "patch_arch_raw.c",
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


def run(machine, elf, old, patch):
    """(result code, new image, [instructions per sector], [reads per sector])."""
    with tempfile.TemporaryDirectory() as where:
        where = Path(where)
        (where / "old").write_bytes(old)
        (where / "patch").write_bytes(patch)
        command = [part.format(elf) for part in MACHINES[machine]["run"]]
        subprocess.run([*command, "-icount", "shift=0", "-display", "none", "-monitor", "none", "-serial", "none"], cwd=where, timeout=300,
                       check=False, stdin=subprocess.DEVNULL)
        counts = (where / "counts").read_bytes()
        words = struct.unpack(f"<{len(counts) // 4}I", counts)
        result = words[0] - (1 << 32) if words[0] >> 31 else words[0]
        return result, (where / "new").read_bytes(), list(words[4::2]), list(words[5::2])
