"""Prints what the core costs: instructions on this computer (callgrind) and on the LX106 (QEMU counts them), code bytes.

    python tests/bench/core.py

Needs gcc, valgrind, xtensa-lx106-elf-gcc and qemu-system-xtensa. Nothing is asserted."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils

import otacore

HERE = Path(__file__).resolve().parent
LX106 = HERE / "lx106"
OUT = otacore.BUILD / "bench" / "core"
SPIN = 40_000_000
LX106_FLAGS = ["-mlongcalls", "-mtext-section-literals", "-ffreestanding", "-isystem", str(LX106 / "include")]
FAST = ("sha256", "rsa")  # also measured at -O2


def run(*args, **kwargs):
    return subprocess.run([str(a) for a in args], check=True, capture_output=True, text=True, **kwargs)


def write_vectors():
    digest = hashlib.sha256(b"bench").digest()
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    how = utils.Prehashed(hashes.SHA256())
    image = otacore.image(bytes(i * 7 & 255 for i in range(122000)))
    marks = [otacore.mark("S")] * 2 + [otacore.mark("P", i, i * 2048) for i in range(1, 65)]
    marks += [otacore.mark("C", 0, 1, b"\7\0\0\0\0\0")] * 2
    vid, cid = otacore.ids()
    vectors = {
        "key": otacore.public_der(), "key3072": otacore.public_der("test-rsa3072"), "hash": digest,
        "pss": otacore.private_key().sign(digest, pss, how),
        "pkcs1": otacore.private_key().sign(digest, padding.PKCS1v15(), how),
        "pss3072": otacore.private_key("test-rsa3072").sign(digest, pss, how),
        "image": image, "marks": b"".join(marks), "vendor": vid, "class": cid,
    }
    text = ["#include <stdint.h>"]
    for name, data in vectors.items():
        text.append(f"static const uint8_t bench_{name}[] __attribute__((unused, aligned(4))) = "
                    f"{{{','.join(map(str, data))}}};")
    (OUT / "bench_vectors.h").write_text("\n".join(text) + "\n")


def host():
    run("gcc", "-std=c99", "-O2", "-g", f"-I{otacore.CORE}", f"-I{OUT}", "-o", OUT / "host", HERE / "host.c",
        otacore.CORE / "rsa.c", otacore.CORE / "sha256.c")
    counts = {}
    for what, function in (("rsa", "ota_rsa_verify"), ("sha", "ota_sha256_push")):
        log = run("valgrind", "--tool=callgrind", f"--callgrind-out-file={OUT / what}.out", f"--toggle-collect={function}",
                  OUT / "host", what).stderr
        counts[what] = int(re.search(r"Collected : (\d+)", log)[1])
    print(f"host   -O2  RSA-2048 PSS verify {counts['rsa']:>10,} instructions")
    print(f"host   -O2  SHA-256             {counts['sha'] / 65536:>10.1f} instructions/byte")


def lx106(name, flags):
    """Builds at -Os, `flags(part)` after it; prints instructions and returns code bytes of each part."""
    objects, sizes = [], {}
    for source in [*(otacore.CORE / f"{part}.c" for part in otacore.PARTS), LX106 / "start.S", LX106 / "libc.c", LX106 / "main.c"]:
        out = OUT / f"{source.stem}.o"
        extra = flags(source.stem)
        builtin = ["-fno-tree-loop-distribute-patterns"] if source.stem == "libc" else []
        run("xtensa-lx106-elf-gcc", "-std=c99", "-Os", *extra, *builtin, *LX106_FLAGS, f"-I{otacore.CORE}", f"-I{OUT}",
            "-c", "-o", out, source)
        objects.append(out)
        sizes[source.stem] = int(run("xtensa-lx106-elf-size", out).stdout.splitlines()[1].split()[0])
    elf = OUT / "lx106.elf"
    run("xtensa-lx106-elf-gcc", "-nostdlib", "-T", LX106 / "lx106.ld", "-o", elf, *objects)
    out = run("qemu-system-xtensa", "-M", "lx60-nommu", "-cpu", "lx106", "-semihosting", "-nographic", "-monitor", "none",
              "-serial", "null", "-icount", "shift=0", "-device", f"loader,file={elf},cpu-num=0", timeout=300).stdout
    ticks = {line.split()[0]: int(line.split()[1], 16) for line in out.splitlines()}
    count = {what: value * SPIN // ticks["measure"] for what, value in ticks.items()}
    print(f"LX106  {name}  RSA-2048 verify {count['rsa-pss']:,} (PSS) {count['rsa-pkcs']:,} (PKCS#1), 3072 "
          f"{count['rsa-3072']:,}; SHA-256 {count['sha-64k'] / 65536:.1f}/byte; start of a trial of 120 KB "
          f"{count['trial']:,}, confirmed {count['cold']:,} instructions")
    if name == "-Os":  # what boards are built with
        judge("RSA-2048 verify, instructions", max(count["rsa-pss"], count["rsa-pkcs"]), 5_000_000)
        judge("SHA-256, instructions a byte", round(count["sha-64k"] / 65536, 1), 60)
        judge("cold boot of a confirmed slot, instructions", count["cold"], 1_000_000)
    return {part: sizes[part] for part in otacore.PARTS}


def judge(what, value, budget):
    print(f"LX106  {what}: {value:,}; budget {budget:,}: {'met' if value <= budget else 'missed'}")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    write_vectors()
    host()
    small = lx106("-Os", lambda part: [])
    fast = lx106("-O2", lambda part: ["-O2"] if part in FAST else [])
    for part in otacore.PARTS:
        print(f"LX106  code {part + '.c':<10} {small[part]:>5} bytes at -Os" +
              (f", {fast[part]} at -O2" if part in FAST else ""))
    print(f"LX106  code together   {sum(small.values()):>5} bytes at -Os")
    judge("RAM of an RSA verification, bytes", otacore.lib(16).sizes["rsa"], 2048)


if __name__ == "__main__":
    main()
