"""Compiles the patch encoder and decoder for this computer, once per change of their sources."""

import hashlib
import os
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CORE = ROOT / "ota" / "core"
MODEL = [CORE / f for f in ("patch_model.c", "patch_sites.c", "patch_tables.c", "patch_symbols.c", "patch_archs.c", "patch_arch_raw.c",
                            "patch_arch_xtensa.c", "patch_arch_arm.c", "patch_arch_x86.c")]
DECODER = [CORE / "patch.c"] + MODEL
ENCODER = [HERE / f for f in ("make.cpp", "analyse.cpp", "seeds.cpp", "choose.cpp", "emit.cpp", "polish.cpp", "repeats.cpp", "budget.cpp")]
COMPILERS = ("gcc", "g++")
FLAGS = ["-O3", "-ffp-contract=off", "-fPIC", "-Wall", "-Wextra", "-fvisibility=hidden", f"-I{CORE}"]


def build_directory():
    return Path(os.environ.get("MPOTA_BUILD") or ROOT / "build") / "patch"


def digest():
    """Changes with every source that a patch depends on."""
    h = hashlib.sha256()
    for path in sorted([*CORE.glob("*.h"), *DECODER, *ENCODER, HERE / "encoder.h", Path(__file__)]):
        h.update(path.read_bytes())
    return h.hexdigest()[:16]


def _compile(source, out, *flags):
    compiler = ["g++", "-std=c++17"] if source.suffix == ".cpp" else ["gcc", "-std=c99"]
    subprocess.run([*compiler, *FLAGS, *flags, "-c", str(source), "-o", str(out)], check=True)
    return str(out)


def _link(objects, out):
    # Built under another name and renamed, so that a parallel build never loads half a library.
    partial = out.with_suffix(f".{os.getpid()}")
    subprocess.run(["g++", "-shared", "-Wl,-Bsymbolic", *objects, "-o", str(partial)], check=True)
    partial.replace(out)


def libraries():
    """Paths of the encoder's and the decoder's shared library."""
    where = build_directory()
    sources = digest()
    encoder, decoder = where / f"encoder-{sources}.so", where / f"decoder-{sources}.so"
    if encoder.exists() and decoder.exists():
        return encoder, decoder
    work = where / f"work-{os.getpid()}"
    work.mkdir(parents=True, exist_ok=True)
    visible = "-fvisibility=default"
    _link([_compile(f, work / f"{f.stem}-d.o", visible) for f in DECODER], decoder)
    _link([_compile(f, work / f"{f.stem}-e.o", "-DOTA_PATCH_ENCODER", visible) for f in MODEL + ENCODER], encoder)
    for f in work.iterdir():
        f.unlink()
    work.rmdir()
    return encoder, decoder
