"""The parts, sizes and artifacts of the campaign, written down for the simulated device (device/world.py)."""
# SPDX-License-Identifier: MIT

import base64
import hashlib
import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

import otacore
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from mpota import image, keys, patch, patching


@dataclass(frozen=True)
class Part:
    """sector, command: bytes erased and programmed at a time. blocks: the driver erases larger blocks too. guarded_unit: bytes under one ECC or CRC. raw_trailers: the
    trailers lie outside of it. errno: what its driver raises."""

    sector: int
    command: int
    guarded_unit: int = 0
    raw_trailers: bool = False
    errno: int = 5
    blocks: bool = False


PARTS = {
    "esp8266": Part(4096, 32, blocks=True),  # the ROM's SPIWrite sends 32 bytes at a time
    "mk3060": Part(4096, 32, 32, True, 1060),  # 32 bytes and their CRC are read as one through the cache; trailers are read raw
    "mk3080": Part(4096, 12),  # the SPI controller's FIFO takes 12 bytes behind the command: a mark is two programs
    "developerkit": Part(2048, 8, 8, False, 1060),  # ECC over 8 bytes
}

# Bytes of the payload, sectors of 4 KiB a slot has, and bytes of a block.
SIZES = {"tiny": (300, 4, 8192), "small": (8600, 6, 8192), "full": (600_000, 192, 65536)}

KEY, FOREIGN = "test-rsa2048", "test-rsa2048-foreign"
# name: version, security counter, signer. 1.1.9 is 1.0.0 with a few changes, and what the patch makes of it.
IMAGES = {
    "1.0.0": ("1.0.0", 1, KEY), "1.1.0": ("1.1.0", 2, KEY), "1.1.9": ("1.1.9", 2, KEY), "1.2.0": ("1.2.0", 3, KEY),
    "1.1.1": ("1.1.1", 1, KEY), "foreign": ("1.1.5", 4, FOREIGN),
    **{f"2.{i}.0": (f"2.{i}.0", 4, KEY) for i in range(1, 9)},
}
PATCH = ("patch", "1.0.0", "1.1.9")  # name, base, result
HEADER = 32  # bytes before an image's payload


def payload(name, size):
    """1.1.9 repeats itself in what is new: from another sector, and across the border of two parts that are written one after the other."""
    if name == PATCH[2]:
        base, more, border = bytearray(payload(PATCH[1], size)), random.Random(name).randbytes(32), 4096 - HEADER
        base[size // 3 : size // 3] = base[-1:-1] = more
        base[size // 2] ^= 1
        if size > border:
            base[border - 24 : border + 40] = 2 * more[::-1]
        return bytes(base)
    return random.Random(name).randbytes(size - 13 * list(IMAGES).index(name))


def digestsign(digest):
    return base64.b64encode(otacore.private_key().sign(digest, padding.PKCS1v15(), hashes.SHA256())).decode()


def offer(folder, name, version, data, genuine, is_patch=0):
    (folder / f"{name}.img").write_bytes(data)
    digest = hashlib.sha256(data).digest()
    return {"file": f"{name}.img", "version": version, "digest": digest.hex(), "digestsign": digestsign(digest), "patch": is_patch,
            "genuine": genuine}


def offers(folder, size):
    made, found = {}, {}
    for name, (version, counter, key) in IMAGES.items():
        made[name] = otacore.image(payload(name, size), key=key, counter=counter, version=version)
        found[name] = offer(folder, name, version, made[name], key == KEY)
    name, base, result = PATCH
    bare = patch.make(made[base], made[result], "raw", 8192)
    signed = patching.wrap(bare, image.parse(made[result], result), keys.load_private(otacore.KEYS / f"{KEY}.pem"))
    found[name] = offer(folder, name, result, signed, True, 1)
    return found


def make(folder, part, size):
    """Writes world.json and the artifacts into folder."""
    folder.mkdir(parents=True, exist_ok=True)
    p = PARTS[part]
    payload_size, sectors, block = SIZES[size]
    vendor_id, class_id = otacore.ids()
    world = {
        "part": {"name": part, "sector": p.sector, "block": block if p.blocks else 0, "command": p.command, "guarded_unit": p.guarded_unit,
                 "raw_trailers": int(p.raw_trailers), "slot_bytes": sectors * 4096, "errno": p.errno},
        "key": otacore.public_der().hex(), "vendor_id": vendor_id.hex(), "class_id": class_id.hex(),
        "offers": offers(folder, payload_size),
    }
    (folder / "world.json").write_text(json.dumps(world))
    return folder


if __name__ == "__main__":
    make(Path(sys.argv[3]), sys.argv[1], sys.argv[2])
