"""Pairs of images to patch between: generated ones, and the corpus where it is present."""

import os
import random
import re
import struct
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORPUS = Path(os.environ.get("MPOTA_CORPUS") or ROOT.parent / "shared" / "corpus")


def corpus_pairs():
    """(name, old, new) of each pair that the table in the corpus's README.md lists; empty, with a printed reason, where there is none."""
    readme = CORPUS / "README.md"
    if not readme.is_file():
        print(f"no corpus at {CORPUS}: its pairs are skipped")
        return []
    pairs = re.findall(r"^\| (\S+)\.bin \| (\S+)\.bin \|", readme.read_text(), re.M)
    return [(f"{a} to {b}", (CORPUS / f"{a}.bin").read_bytes(), (CORPUS / f"{b}.bin").read_bytes()) for a, b in pairs]


def _plain(rng, arch):
    """Instructions without addresses: on the Xtensa their first byte says how long they are."""
    if arch == "xtensa":
        return b"".join(bytes([rng.randrange(16) << 4]) + rng.randbytes(2) for _ in range(rng.randrange(1, 7)))
    return rng.randbytes(rng.randrange(1, 9) * 2)


def _function(rng, functions, arch):
    """A function's items: plain instructions, calls and pointers to functions by number."""
    items = []
    for _ in range(rng.randrange(2, 12)):
        kind = rng.random()
        if kind < 0.5:
            items.append(("bytes", _plain(rng, arch)))
        elif kind < 0.8:
            items.append(("call", rng.randrange(functions)))
        else:
            items.append(("pointer", rng.randrange(functions)))
    return items


def _link(functions, arch, base):
    """Lays functions out one after the other and fills in what they refer to."""
    size = {"call": 3 if arch == "xtensa" else 4, "pointer": 4}
    starts, at = [], 0
    for items in functions:
        starts.append(at)
        for kind, value in items:
            at += -at % 4 if kind == "pointer" else 0
            at += size.get(kind) or len(value)
        at += -at % 4
    out = bytearray()
    for items in functions:
        for kind, value in items:
            if kind == "pointer":
                out += bytes(-len(out) % 4) + struct.pack("<I", base + starts[value % len(functions)])
            elif kind == "call":
                out += _call(arch, len(out), starts[value % len(functions)])
            else:
                out += value
        out += bytes(-len(out) % 4)
    return bytes(out)


def _call(arch, at, target):
    if arch == "xtensa":
        offset = (target - (at & ~3) - 4 >> 2) & 0x3FFFF
        return (5 | offset << 6).to_bytes(3, "little")
    if arch == "arm":
        return ((target - at - 8 >> 2) & 0xFFFFFF | 0xEB000000).to_bytes(4, "little")
    if arch == "x86-64":
        return struct.pack("<Bi", 0xE8, target - at - 5)[:4]
    offset = target - at - 4
    s = int(offset < 0)
    j1, j2 = (1 ^ (offset >> 23 & 1) ^ s), (1 ^ (offset >> 22 & 1) ^ s)
    return struct.pack("<HH", 0xF000 | s << 10 | offset >> 12 & 0x3FF, 0xD000 | j1 << 13 | j2 << 11 | offset >> 1 & 0x7FF)


BASES = {"xtensa": 0x40200000, "thumb": 0x08000000, "arm": 0x10000, "x86-64": 0, "raw": 0}


def linked_pair(seed, arch, functions=40):
    """Two builds of a made-up program: the second has functions added, removed and changed, so that addresses move."""
    rng = random.Random(seed)
    old = [_function(rng, functions, arch) for _ in range(functions)]
    new = [list(items) for items in old]
    for _ in range(rng.randrange(1, 4)):
        i = rng.randrange(len(new))
        change = rng.random()
        if change < 0.4:
            new.insert(i, _function(rng, functions, arch))
        elif change < 0.6 and len(new) > 2:
            del new[i]
        else:
            new[i] = new[i][: rng.randrange(len(new[i]))] + [("bytes", _plain(rng, arch))] + new[i][1:]
    return _link(old, arch, BASES[arch]), _link(new, arch, BASES[arch])


def moved_pair(seed, arch, by, functions=40):
    """A made-up program, and the same linked for another address."""
    rng = random.Random(seed)
    program = [_function(rng, functions, arch) for _ in range(functions)]
    return _link(program, arch, BASES[arch]), _link(program, arch, BASES[arch] + by)


def edited(old, edits):
    """`old` with edits (position, bytes removed, bytes put in), positions taken modulo its length."""
    new = bytearray(old)
    for position, removed, put in edits:
        at = position % (len(new) + 1)
        new[at : at + removed] = put
    return bytes(new)


def patchwork(rng, old, size=16384):
    """New bytes from pieces of two or three: repeats of those five before, and bytes of the old image from there or from anywhere."""
    new = bytearray(rng.randbytes(5))
    while len(new) < size:
        kind, n = rng.random(), rng.randrange(2, 4)
        at = len(new) if kind > 0.9 else rng.randrange(len(old) - n)
        new += new[-5 : n - 5] if kind < 0.3 else old[at : at + n]
    return bytes(new)


def ciphered(rng, size=12288):
    """(old, new): few values, of which most changed, and most of these alike by value."""
    values, alike = rng.sample(range(256), 26), rng.randbytes(256)
    old = bytes(rng.choice(values) for _ in range(size))
    return old, bytes(b + (alike[b] if rng.random() < 0.9 else rng.randrange(1, 27)) & 255 if rng.random() < 0.83 else b for b in old)


def padded(rng, image):
    """The image with what looks like erased flash somewhere in it and behind it."""
    at = rng.randrange(len(image) + 1)
    return image[:at] + b"\xff" * rng.randrange(100) + image[at:] + b"\xff" * rng.randrange(400)


def words(rng, n):
    """n words of text, as far as a coder of bytes can tell."""
    known = ["".join(rng.choices("etaoinsrhdlucmfywgpbvk", k=rng.randrange(2, 9))) for _ in range(400)]
    return " ".join(rng.choices(known, k=n)).encode()
