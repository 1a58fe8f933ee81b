"""Writes vectors.h for the C tests: images by imgtool, signatures and keys by cryptography, marks by struct and zlib.

    python tests/core/vectors.py OUT.h"""

import hashlib
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils

import otacore


def signatures(key, digest):
    how = utils.Prehashed(hashes.SHA256())
    private = otacore.private_key(key)
    return {"pkcs1": private.sign(digest, padding.PKCS1v15(), how),
            "pss": private.sign(digest, padding.PSS(padding.MGF1(hashes.SHA256()), 32), how),
            "pss_no_salt": private.sign(digest, padding.PSS(padding.MGF1(hashes.SHA256()), 0), how)}


def vectors():
    payload, random_bytes = random.Random(1).randbytes(3000), random.Random(2).randbytes(1000)
    digest = hashlib.sha256(b"a message").digest()
    vid, cid = otacore.ids()
    yield "vendor", vid
    yield "class", cid
    yield "hash", digest
    yield "image", otacore.image(payload)
    yield "image3072", otacore.image(payload, key="test-rsa3072", header=0x200)
    for counter in (1, 5, 6):
        yield f"image_counter{counter}", otacore.image(payload[:700 + counter], counter=counter)
    yield "image_foreign", otacore.image(payload[:700], counter=5, key="test-rsa2048-foreign")
    yield "image_other_board", otacore.image(payload[:700], counter=5, cls="product-key/other")
    yield "image_not_bootable", otacore.image(payload[:700], counter=5, options=("--non-bootable",))
    for name, key in (("", "test-rsa2048"), ("3072", "test-rsa3072"), ("_e3", "test-rsa2048-e3")):
        yield f"key{name}", otacore.public_der(key)
        for kind, sig in signatures(key, digest).items():
            yield f"{kind}{name}", sig
    yield "random_bytes", random_bytes
    yield "random_md5s", b"".join(hashlib.md5(random_bytes[:n]).digest() for n in range(1001))
    yield "random_digests", b"".join(hashlib.sha256(random_bytes[:n]).digest() for n in range(1001))
    yield "mark", otacore.mark("C", 0, 0x01020304, bytes(range(6)))


def main(out):
    lines = ["#include <stdint.h>"]
    for name, data in vectors():
        lines.append(f"static const uint8_t v_{name}[] __attribute__((unused)) = {{{','.join(map(str, data))}}};")
    Path(out).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
