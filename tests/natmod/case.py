"""What every target is given: the module, two images, patches between them, and PORTING.md's program; and what it must say."""
# SPDX-License-Identifier: MIT

import fcntl
import functools
import hashlib
import os
import re
import subprocess
import sys

from otacore import BUILD, REPO
from patch_pairs import linked_pair

sys.path.insert(0, str(REPO / "tools"))

from mpota import patch

STATE, SECTOR = 8192, 2048
NEWS = b"".join(hashlib.sha512(b"%d" % i).digest() for i in range(4))
# One line for each patch: the result's hash, or the code of the refusal.
RUN = """
import gc, io

def result():
    try:
        return open("new", "w+b")
    except OSError:  # read-only
        return io.BytesIO()

def digest(file):
    file.seek(0)
    digest, buf = hashlib.sha256(), bytearray(256)
    while n := file.readinto(buf):
        digest.update(memoryview(buf)[:n])
    return "".join("%02x" % b for b in digest.digest())

class Pieces:
    "A file that gives less than was asked for, as a serial line does."

    def __init__(self, file):
        self.file = file
        self.n = 0

    def readinto(self, buf):
        self.n = self.n % 40 + 1
        data = self.file.read(min(self.n, len(buf)))
        buf[: len(data)] = data
        return len(data)

for name in ("patch", "damaged", "cut", "foreign", "nonsense", "patch"):
    gc.collect()
    with open("old", "rb") as old, open(name, "rb") as patch, result() as new:
        try:
            decode(old, patch, new, 8192)
            print(name, digest(new))
        except OSError as error:
            print(name, error.args[0])
gc.collect()
with open("old", "rb") as old, open("patch", "rb") as patch, result() as new:
    decode(old, Pieces(patch), new, 8192)
    print("pieces", digest(new))
class Written:
    "A result of which nothing can be read that is not written, nor from amid a word."

    def __init__(self, file):
        self.file = file
        self.size = self.reads = 0

    def seek(self, *to):
        self.at = self.file.seek(*to)

    def write(self, data):
        self.size += self.file.write(data)

    def readinto(self, buf):
        if self.at & 3 or self.at + len(buf) > self.size:
            raise OSError("window")
        self.reads += 1
        self.file.readinto(buf)

gc.collect()
with open("old", "rb") as old, open("patch", "rb") as patch, result() as new:
    written = Written(new)
    decode(old, patch, written, 8192)
    print("written", digest(new), written.reads > 0)
for size, start, got in ((100, 0, 0), (9000, 1, 0), (9000, 0, 129)):
    try:
        ota_patch.patch_begin(memoryview(bytearray(size))[start:], lambda: got, bytearray(128))
    except ValueError as error:
        print(error)
def step(state, source, size=2048):
    try:
        ota_patch.patch_step(state, None, 0, 0, bytearray(112), lambda: 0, source, bytearray(size))
    except ValueError as error:
        print(error)

state = bytearray(ota_patch.patch_state(8192))
step(state, bytearray(128))
with open("patch", "rb") as patch:
    source = bytearray(128)
    ota_patch.patch_begin(state, lambda: patch.readinto(source), source)
step(state[:-1024], source)
step(state, source, 2046)
step(state, bytearray(8))
try:
    ota_patch.patch_step(state, None, 0, 0, bytearray(112), lambda: 0, source, bytearray(2048))
except TypeError:
    step(state, source)
"""


def program():
    """PORTING.md's program, and the lines that use it."""
    return re.search(r"```python\n(.*?)```", (REPO / "PORTING.md").read_text(), re.S)[1] + RUN


@functools.cache
def build():
    """Builds every module whose compiler is installed; tests/natmod and tests/emulator may run at the same time."""
    with open(BUILD / "natmod.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run(["make", "-C", REPO, "natmods"], capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr


def module(arch):
    """The .mpy for an architecture."""
    build()
    return (REPO / "out" / f"ota_patch-{arch}.mpy").read_bytes()


@functools.cache
def micropython(name):
    """The folder of a stock MicroPython that tests/natmod/Makefile builds."""
    top = os.environ.get("MICROPY_DIR") or BUILD / "src" / "micropython"
    made = subprocess.run(["make", "-j2", "-C", REPO / "tests" / "natmod", name, f"BUILD={BUILD / 'micropython'}", f"MICROPY_DIR={top}"],
                          capture_output=True, text=True)
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]
    return BUILD / "micropython" / name


def files(arch):
    """(files that the program reads, the lines it must print)."""
    old, new = linked_pair(71, "thumb" if arch.startswith("arm") else "xtensa" if arch == "xtensa" else "raw", 260)
    at = 3 * SECTOR - len(NEWS)
    new = new[:at] + 2 * NEWS + new[at:]  # a sector begins with what the one before ends with: it is read back
    data = patch.make(old, new, state=STATE)
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 0x40
    foreign = patch.make(old[:-1] + b"!", new, state=STATE)
    given = {"old": old, "patch": data, "damaged": bytes(damaged), "cut": data[:-9], "foreign": foreign, "nonsense": b"x" + data}
    digest = hashlib.sha256(new).hexdigest()
    right = f"patch {digest}"
    said = [right, f"damaged {refusal(old, damaged)}", f"cut {refusal(old, data[:-9])}", "foreign 1073", "nonsense 1070", right]
    return given, [*said, f"pieces {digest}", f"written {digest} True", "buffer", "buffer", "length", "state", "state", "buffer", "state", "state"]


def refusal(old, data):
    """The code by which the decoder of this computer refuses a patch."""
    try:
        patch.apply(old, bytes(data))
    except patch.PatchError as error:
        return error.code
    raise AssertionError("the damage went unseen")
