"""The parts, sizes and artifacts of the campaign, written down for the simulated device (device/world.py)."""
# SPDX-License-Identifier: MIT

import base64
import hashlib
import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import otacore
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding


@dataclass(frozen=True)
class Part:
    """sector, command: bytes erased and programmed at a time. guarded_unit: bytes under one ECC or CRC. raw_trailers: the
    trailers lie outside of it. errno: what its driver raises."""

    sector: int
    command: int
    guarded_unit: int = 0
    raw_trailers: bool = False
    errno: int = 5


PARTS = {
    "esp8266": Part(4096, 32),  # the ROM's SPIWrite sends 32 bytes at a time
    "mk3060": Part(4096, 32, 32, True, 1060),  # 32 bytes and their CRC are read as one through the cache; trailers are read raw
    "mk3080": Part(4096, 12),  # the SPI controller's FIFO takes 12 bytes behind the command: a mark is two programs
    "developerkit": Part(2048, 8, 8, False, 1060),  # ECC over 8 bytes
}

# Bytes of the payload, and sectors of 4 KiB a slot has.
SIZES = {"tiny": (100, 2), "small": (8600, 5), "full": (600_000, 190)}

VERSIONS = {"1.0.0": (1, "test-rsa2048"), "1.1.0": (2, "test-rsa2048"), "1.2.0": (3, "test-rsa2048"), "foreign": (4, "test-rsa2048-foreign")}


def payload(name, size):
    return random.Random(name).randbytes(size + 13 * len(VERSIONS) - 13 * list(VERSIONS).index(name))


def digestsign(digest):
    return base64.b64encode(otacore.private_key().sign(digest, padding.PKCS1v15(), hashes.SHA256())).decode()


def offer(folder, name, size):
    counter, key = VERSIONS[name]
    version = "1.1.5" if name == "foreign" else name
    data = otacore.image(payload(name, size), key=key, counter=counter, version=version)
    file = folder / f"{name}.img"
    file.write_bytes(data)
    digest = hashlib.sha256(data).digest()
    return {"file": file.name, "version": version, "digest": digest.hex(), "digestsign": digestsign(digest), "patch": 0,
            "genuine": key == "test-rsa2048"}


def make(folder, part, size):
    """Writes world.json and the artifacts into folder."""
    folder.mkdir(parents=True, exist_ok=True)
    p = PARTS[part]
    payload_size, sectors = SIZES[size]
    vendor_id, class_id = otacore.ids()
    world = {
        "part": {"name": part, "sector": p.sector, "command": p.command, "guarded_unit": p.guarded_unit,
                 "raw_trailers": int(p.raw_trailers), "slot_bytes": sectors * 4096, "errno": p.errno},
        "key": otacore.public_der().hex(), "vendor_id": vendor_id.hex(), "class_id": class_id.hex(),
        "offers": {name: offer(folder, name, payload_size) for name in VERSIONS},
    }
    (folder / "world.json").write_text(json.dumps(world))
    return folder


if __name__ == "__main__":
    make(Path(sys.argv[3]), sys.argv[1], sys.argv[2])
