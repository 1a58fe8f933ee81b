"""The C core, called from CPython: builds libotacore.so and wraps it. Also makes the images, keys and marks tests need,
each with a tool that is not ours (imgtool, cryptography, zlib)."""

import ctypes as c
import functools
import os
import struct
import subprocess
import sys
import tempfile
import uuid
import zlib
from pathlib import Path

from cryptography.hazmat.primitives import serialization

REPO = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("MPOTA_BUILD", REPO / "build"))
CORE = REPO / "ota" / "core"
MODEL = REPO / "boards" / "emulator"
KEYS = REPO / "tests" / "keys"
WARNINGS = "-std=c99 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror".split()
PARTS = ("coap", "md5", "sha256", "rsa", "image", "trailer", "boot")
VENDOR, CLASS = "vendor.test", "product-key/board"
PKCS1, PSS = 1, 2


class Version(c.Structure):
    _fields_ = [("major", c.c_uint8), ("minor", c.c_uint8), ("revision", c.c_uint16), ("build", c.c_uint32)]


class Info(c.Structure):
    _fields_ = [("flags", c.c_uint32), ("header_size", c.c_uint32), ("payload_size", c.c_uint32),
                ("total_size", c.c_uint32), ("counter", c.c_uint32), ("version", Version), ("hash", c.c_uint8 * 32)]


class Key(c.Structure):
    _fields_ = [("der", c.c_char_p), ("size", c.c_uint32)]


class Trust(c.Structure):
    _fields_ = [("keys", c.POINTER(Key)), ("key_count", c.c_uint32), ("vendor_id", c.c_char_p), ("class_id", c.c_char_p),
                ("min_counter", c.c_uint32)]


class Io(c.Structure):
    _fields_ = [("ctx", c.c_void_p), ("size", c.c_uint32), ("sector", c.c_uint32), ("read", c.c_void_p),
                ("write", c.c_void_p), ("erase", c.c_void_p), ("feed", c.CFUNCTYPE(None, c.c_void_p))]


class Chip(c.Structure):
    """The part of norchip.h that tests look at; the model's own state lies behind it."""

    _fields_ = [("cells", c.c_void_p), ("command", c.c_uint32), ("reads", c.c_uint32), ("writes", c.c_uint32),
                ("erases", c.c_uint32), ("feeds", c.c_uint32), ("misuses", c.c_uint32), ("off", c.c_bool)]


class Mark(c.Structure):
    _fields_ = [("kind", c.c_uint8), ("arg", c.c_uint8), ("number", c.c_uint32), ("tail", c.c_uint8 * 6)]


class Trailer(c.Structure):
    _fields_ = [("places", c.c_uint16), ("next", c.c_uint16), ("started", c.c_uint8), ("complete", c.c_uint8),
                ("confirmed", c.c_uint8), ("rejected", c.c_uint8), ("reported", c.c_uint8),
                ("tried", c.c_uint8), ("artifact_type", c.c_uint8),
                ("digest", c.c_uint8 * 6), ("artifact_size", c.c_uint32), ("progress", c.c_uint32),
                ("sequence", c.c_uint32), ("counter", c.c_uint32), ("reason", c.c_uint32)]


class Coap(c.Structure):
    _fields_ = [("kind", c.c_uint8), ("code", c.c_uint8), ("token_size", c.c_uint8), ("etag_size", c.c_uint8),
                ("mid", c.c_uint16), ("etag", c.c_uint16), ("payload", c.c_uint16), ("observe", c.c_int32),
                ("block2", c.c_int32), ("size2", c.c_int64)]


class CoapWriter(c.Structure):
    _fields_ = [("buf", c.c_void_p), ("size", c.c_uint32), ("n", c.c_uint32), ("number", c.c_uint32)]


class Slot(c.Structure):
    _fields_ = [("offset", c.c_uint32), ("size", c.c_uint32)]


class Config(c.Structure):
    _fields_ = [("slots", Slot * 2), ("trust", Trust), ("tries", c.c_uint8), ("suspicious", c.c_bool), ("unloadable", c.c_uint8)]


class Choice(c.Structure):
    _fields_ = [("how", c.c_int), ("slot", c.c_uint8), ("trial", c.c_uint8), ("offset", c.c_uint32),
                ("payload_size", c.c_uint32)]


SIZED = ("sha256", "rsa", "image", Trailer, "boot", Info, Config, Choice, Io, "chip", Trust, "md5", Coap, CoapWriter)


def build(limb_bits=32):
    """Compiles the core, the strict flash and abi.c; the path of the shared library."""
    out = BUILD / "tests" / f"limb{limb_bits}" / "libotacore.so"
    out.parent.mkdir(parents=True, exist_ok=True)
    sources = [CORE / f"{part}.c" for part in PARTS] + [MODEL / "nor.c", MODEL / "norchip.c", REPO / "tests/core/abi.c"]
    fresh = f"{out}.{os.getpid()}"
    subprocess.run(["gcc", *WARNINGS, "-O2", "-g", "-shared", "-fPIC", f"-DOTA_RSA_LIMB_BITS={limb_bits}", f"-I{CORE}",
                    f"-I{MODEL}",
                    "-o", fresh, *map(str, sources)], check=True)
    os.replace(fresh, out)
    return out


@functools.cache
def lib(limb_bits=32):
    """The loaded core, its structures compared in size with the ones above."""
    core = c.CDLL(str(build(limb_bits)))
    core.ota_image_push.restype = c.c_int32
    core.ota_image_complete.restype = c.c_bool
    core.ota_image_digest.restype = core.ota_mark_decode.restype = c.c_bool
    core.sizes = {what: core.abi_size(i) for i, what in enumerate(SIZED)}
    for what, size in core.sizes.items():
        assert size > 0 and (isinstance(what, str) or c.sizeof(what) == size), what
    return core


def state(core, name):
    """Memory for an opaque object of the core, filled with noise: init must set all it needs."""
    return c.create_string_buffer(b"\xa5" * core.sizes[name], core.sizes[name])


def sha256(data, splits=()):
    core = lib()
    s, digest = state(core, "sha256"), c.create_string_buffer(32)
    core.ota_sha256_init(s)
    for part in cut_up(data, splits):
        core.ota_sha256_push(s, part, len(part))
    core.ota_sha256_finish(s, digest)
    return digest.raw


def md5(data, splits=()):
    core = lib()
    s, digest = state(core, "md5"), c.create_string_buffer(16)
    core.ota_md5_init(s)
    for part in cut_up(data, splits):
        core.ota_md5_push(s, part, len(part))
    core.ota_md5_finish(s, digest)
    return digest.raw


def cut_up(data, splits):
    edges = [0, *sorted(splits), len(data)]
    return [data[a:b] for a, b in zip(edges, edges[1:])]


def rsa_verify(der, padding, digest, sig, limb_bits=32, feed=None):
    """0 or a positive error code."""
    core = lib(limb_bits)
    key, io = Key(der, len(der)), None
    if feed is not None:
        io = Io(feed=c.CFUNCTYPE(None, c.c_void_p)(lambda _: feed()))
    return -core.ota_rsa_verify(state(core, "rsa"), io and c.byref(io), c.byref(key), padding, digest, sig, len(sig))


def trust(keys=("test-rsa2048",), vendor=VENDOR, cls=CLASS, min_counter=0):
    ders = [key if isinstance(key, bytes) else public_der(key) for key in keys]
    array = (Key * max(1, len(ders)))(*[Key(der, len(der)) for der in ders])
    vid, cid = ids(vendor, cls)
    return Trust(array, len(ders), vid, cid, min_counter)


def image_verify(data, who=None, limit=None, splits=()):
    """Pushes and finishes an image: (0 or a positive code, Info)."""
    core = lib()
    s = state(core, "image")
    core.ota_image_init(s, len(data) if limit is None else limit)
    for part in cut_up(data, splits):
        r = core.ota_image_push(s, part, len(part))
        if r < 0:
            assert core.ota_image_push(s, b"x", 1) == r, "a failed image stays failed"
            break
    r = core.ota_image_finish(s, None, c.byref(who or trust()), state(core, "rsa"))
    return -r, Info.from_buffer_copy(s)


@functools.cache
def private_key(name="test-rsa2048"):
    return serialization.load_pem_private_key((KEYS / f"{name}.pem").read_bytes(), None)


@functools.cache
def public_der(name="test-rsa2048"):
    return private_key(name).public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)


def ids(vendor=VENDOR, cls=CLASS):
    vid = uuid.uuid5(uuid.NAMESPACE_DNS, vendor)
    return vid.bytes, uuid.uuid5(vid, cls).bytes


@functools.cache
def image(payload=bytes(range(256)) * 3, key="test-rsa2048", counter=7, version="1.2.3+4", header=0x20, vendor=VENDOR,
          cls=CLASS, options=()):
    """An image signed by imgtool. None leaves a part out."""
    args = ["--version", version, "--header-size", hex(header), "--pad-header", "--slot-size", "0x400000", "--align", "1"]
    for option, value in (("--security-counter", counter), ("--vid", vendor), ("--cid", cls),
                          ("--key", key and KEYS / f"{key}.pem")):
        args += [option, str(value)] if value is not None else []
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "in.bin"), Path(folder, "out.bin")
        source.write_bytes(payload)
        subprocess.run([sys.executable, "-m", "imgtool.main", "sign", *args, *options, str(source), str(out)], check=True,
                       capture_output=True)
        return out.read_bytes()


def tlvs(data):
    """{tag: (offset of the TLV's header, length of its value)}, by MCUboot's format; of a tag met twice the first."""
    header, protected, payload = struct.unpack_from("<HHI", data, 8)
    at, found = header + payload, {}
    for _ in range(2 if protected else 1):
        end = at + struct.unpack_from("<H", data, at + 2)[0]
        at += 4
        while at < end:
            tag, size = struct.unpack_from("<HH", data, at)
            found.setdefault(tag, (at, size))
            at += 4 + size
    return found


def mark(kind, arg=0, number=0, tail=bytes(6)):
    body = struct.pack("<BBI6s", ord(kind), arg, number, tail)
    return body + struct.pack("<I", zlib.crc32(body))


class Flash:
    """The flash model of boards/emulator/norchip.c, with the core's contract over it."""

    def __init__(self, size, sector=4096):
        self.memory = c.create_string_buffer(b"\xff" * size, size)
        self._state, self.io = state(lib(), "chip"), Io()
        self.chip = Chip.from_buffer(self._state)
        self.restart(sector)

    def restart(self, sector=4096):
        lib().norchip_init(self._state, self.memory, len(self.memory), sector)
        lib().norchip_io(self._state, c.byref(self.io))

    def put(self, offset, data):
        c.memmove(c.addressof(self.memory) + offset, bytes(data), len(data))

    def get(self, offset, n):
        return c.string_at(c.addressof(self.memory) + offset, n)


def boot(flash, slots, who=None, tries=0, suspicious=False, unloadable=0):
    """(result, Choice) of ota_boot_choose."""
    core = lib()
    config, choice = Config((Slot * 2)(*slots), who or trust(), tries, suspicious, unloadable), Choice()
    r = core.ota_boot_choose(state(core, "boot"), c.byref(flash.io), c.byref(config), c.byref(choice))
    return -r, choice
