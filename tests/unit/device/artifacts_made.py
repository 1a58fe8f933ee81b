"""Makes what the device's tests read: images by imgtool, signatures and keys by cryptography."""
# SPDX-License-Identifier: MIT

import hashlib
import os

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from mpota import patch
from otacore import ids, image, private_key, public_der

PAYLOAD = bytes(i * 7 + i // 256 & 255 for i in range(21000))
IMAGES = {
    "running": {"version": "1.0.0", "counter": 5, "payload": PAYLOAD[:9000]},
    "new": {"version": "1.1.0", "counter": 6, "payload": PAYLOAD},
    "no_patch": {"version": "1.1.0", "counter": 6, "options": ("--non-bootable",)},
    "foreign": {"version": "1.1.0", "counter": 6, "key": "test-rsa2048-foreign"},
    "other_product": {"version": "1.1.0", "counter": 6, "cls": "other-key/board"},
    "low_counter": {"version": "1.1.0", "counter": 4},
}


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    vendor_id, class_id = ids()
    files = {"key.der": public_der(), "vendor.id": vendor_id, "class.id": class_id}
    for name, data in images().items():
        files[f"{name}.img"] = data
        for method in ("sha256", "md5"):
            files[f"{name}.{method}.sig"] = sign(hashlib.new(method, data).digest())
    for name, data in files.items():
        fresh = folder / f"{name}.{os.getpid()}"
        fresh.write_bytes(data)
        fresh.replace(folder / name)


def images():
    made = {name: image(**options) for name, options in IMAGES.items()}
    for name, base in (("patch", "running"), ("patch_of_another", "foreign")):
        bare = patch.make(made[base], made["new"])
        made[name] = image(version="1.1.0", counter=6, payload=bare, options=("--non-bootable",))
    return made


def sign(digest):
    return private_key().sign(digest, padding.PKCS1v15(), hashes.SHA256())
