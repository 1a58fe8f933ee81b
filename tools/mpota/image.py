"""Reading images strictly (SPEC.md, section 1: Image)."""
# SPDX-License-Identifier: MIT

import hashlib
import re
import struct
from dataclasses import dataclass
from functools import total_ordering
from uuid import UUID

from mpota import storage
from mpota.errors import ToolError

MAGIC = 0x96F3B83D
PROTECTED_MAGIC = 0x6908
UNPROTECTED_MAGIC = 0x6907
NON_BOOTABLE = 0x10
HEADER = struct.Struct("<IIHHII8sI")
VERSION = struct.Struct("<BBHI")
PAIR = struct.Struct("<HH")
MIN_HEADER, MAX_HEADER = 32, 4096

# tag: (name, protected, length of the value)
TLVS = {
    0x01: ("KEYHASH", False, 32),
    0x10: ("SHA256", False, 32),
    0x20: ("RSA2048", False, 256),
    0x23: ("RSA3072", False, 384),
    0x50: ("SEC_CNT", True, 4),
    0x74: ("UUID_VID", True, 16),
    0x75: ("UUID_CID", True, 16),
}
SIGNATURES = ("RSA2048", "RSA3072")
_VERSION_TEXT = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:\+(0|[1-9]\d*))?")


@total_ordering
@dataclass(frozen=True)
class Version:
    """An image's version. A build of 0 is not written."""

    major: int
    minor: int
    revision: int
    build: int = 0

    def __str__(self):
        text = f"{self.major}.{self.minor}.{self.revision}"
        return f"{text}+{self.build}" if self.build else text

    def __lt__(self, other):
        return self.numbers < other.numbers

    @property
    def numbers(self):
        """The four numbers, in the order they count."""
        return self.major, self.minor, self.revision, self.build

    @classmethod
    def parse(cls, text):
        """The version that `text` means, or None."""
        match = _VERSION_TEXT.fullmatch(text)
        if not match:
            return None
        version = cls(*(int(number or 0) for number in match.groups()))
        limits = (0xFF, 0xFF, 0xFFFF, 0xFFFFFFFF)
        return version if all(n <= limit for n, limit in zip(version.numbers, limits, strict=True)) else None


@dataclass(frozen=True)
class Image:
    """A well-formed image whose hash is right. Its signature is not checked here."""

    version: Version
    header_size: int
    payload_size: int
    signed_size: int  # header, payload and protected TLVs: what is hashed
    flags: int
    tlvs: dict
    size: int

    @property
    def counter(self):
        """The security counter."""
        return int.from_bytes(self.tlvs["SEC_CNT"], "little")

    @property
    def signature(self):
        """Name and value of the signature's TLV."""
        name = next(name for name in SIGNATURES if name in self.tlvs)
        return name, self.tlvs[name]

    def facts(self):
        """What `mpota image info` tells."""
        return {
            "version": str(self.version),
            "security_counter": self.counter,
            "kind": "patch" if self.flags & NON_BOOTABLE else "image",
            "size": self.size,
            "header_size": self.header_size,
            "payload_size": self.payload_size,
            "sha256": self.tlvs["SHA256"].hex(),
            "key_hash": self.tlvs["KEYHASH"].hex(),
            "signature": self.signature[0],
            "vendor_id": str(UUID(bytes=self.tlvs["UUID_VID"])),
            "class_id": str(UUID(bytes=self.tlvs["UUID_CID"])),
        }


def load(path):
    """The image in the file, and its bytes."""
    data = storage.read(path)
    return parse(data, path), data


def load_program(path):
    """The same, if it is one to run."""
    found, data = load(path)
    if found.flags & NON_BOOTABLE:
        raise ToolError(path, "a patch, not an image to run")
    return found, data


def parse(data, path):
    """The image in `data`; `path` names it in errors."""
    if len(data) < HEADER.size:
        raise ToolError(path, f"too short for an image header ({len(data)} bytes)")
    magic, _, header_size, protected_size, payload_size, flags, version, _ = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise ToolError(path, "not an image (wrong magic)")
    if not MIN_HEADER <= header_size <= MAX_HEADER or header_size % 4:
        raise ToolError(path, f"header size {header_size} is out of range")
    if flags & ~NON_BOOTABLE:
        raise ToolError(path, f"unknown flags 0x{flags:x}")
    tlvs = {}
    start = header_size + payload_size
    signed = _area(data, start, PROTECTED_MAGIC, tlvs, path)
    if signed - start != protected_size:
        raise ToolError(path, "protected TLV area is not of the size its header says")
    end = _area(data, signed, UNPROTECTED_MAGIC, tlvs, path)
    _check(data, end, signed, tlvs, path)
    return Image(Version(*VERSION.unpack(version)), header_size, payload_size, signed, flags, tlvs, end)


def _area(data, start, magic, tlvs, path):
    """Reads the TLV area at `start` into `tlvs`; returns its end."""
    if start + PAIR.size > len(data):
        raise ToolError(path, f"cut short: TLVs should start at {start}, the file has {len(data)} bytes")
    found, size = PAIR.unpack_from(data, start)
    end = start + size
    if found != magic:
        raise ToolError(path, f"no TLV area at {start}")
    if end > len(data):
        raise ToolError(path, f"cut short: TLVs should end at {end}, the file has {len(data)} bytes")
    offset = start + PAIR.size
    while offset < end:
        offset = _tlv(data, offset, end, magic, tlvs, path)
    if offset != end:
        raise ToolError(path, f"malformed TLV area at {start}")
    return end


def _tlv(data, offset, end, magic, tlvs, path):
    if offset + PAIR.size > end:
        raise ToolError(path, f"malformed TLV at {offset}")
    tag, length = PAIR.unpack_from(data, offset)
    value = data[offset + PAIR.size : offset + PAIR.size + length]
    if offset + PAIR.size + length > end:
        raise ToolError(path, f"malformed TLV at {offset}")
    if tag in TLVS:
        name, protected, size = TLVS[tag]
        if name in tlvs or length != size or protected != (magic == PROTECTED_MAGIC):
            raise ToolError(path, f"TLV {name} is met twice, out of place or of a wrong length")
        tlvs[name] = value
    return offset + PAIR.size + length


def _check(data, end, signed, tlvs, path):
    if end != len(data):
        raise ToolError(path, f"{len(data) - end} bytes after the image's end")
    for name, _, _ in TLVS.values():
        if name not in SIGNATURES and name not in tlvs:
            raise ToolError(path, f"TLV {name} is missing")
    if sum(name in tlvs for name in SIGNATURES) != 1:
        raise ToolError(path, "does not have exactly one RSA signature")
    if hashlib.sha256(data[:signed]).digest() != tlvs["SHA256"]:
        raise ToolError(path, "hash differs: the image is damaged")
