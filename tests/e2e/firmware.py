"""Firmware for the tests: built once, then signed, renumbered and damaged at will; and what a notification says of it."""
# SPDX-License-Identifier: MIT

import base64
import hashlib
import json
import shutil

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from mpota import board as boards
from mpota import keys, signing
from mpota.image import Version

from e2e.host import BUILD, ROOT, build_firmware

PRODUCT = "a1mpotatest"
KEYS = ROOT / "tests" / "keys"
IMAGE_KEY = KEYS / "test-rsa2048.pem"
DIGEST_KEY = KEYS / "test-rsa2048-e3.pem"
FOREIGN_KEY = KEYS / "test-rsa2048-foreign.pem"
BOARD = boards.load("linuxhost", ROOT / "boards")


class Firmware:
    """A second boot that trusts the test keys, and the programs of the applications."""

    def __init__(self, folder, ca):
        self.folder = folder
        self.image_key = IMAGE_KEY
        self._ca = ca
        self._payloads = {}
        self.payload("otaapp")

    def payload(self, app):
        """The program with an application frozen in; `app` is a folder's name under tests/apps, or otaapp."""
        if app not in self._payloads:
            folder = "otaapp" if app == "otaapp" else f"tests/apps/{app}"
            variables = {"KEY": IMAGE_KEY, "DIGEST_KEY": DIGEST_KEY, "CA": self._ca, "PRODUCT": PRODUCT}
            _, second_boot = build_firmware(self.folder / f"{app}.img", "1.0.0", APP=folder, **variables)
            self._payloads[app] = self.folder / f"{app}.elf"
            shutil.copy(BUILD / "linuxhost" / "micropython" / "firmware", self._payloads[app])
            self.second_boot = second_boot
        return self._payloads[app]

    def image(self, version, app="otaapp", counter=1):
        """A good image as a file, for `mpota publish` and for factory flash."""
        path = self.folder / f"{app}-{version}-{counter}.img"
        if not path.exists():
            path.write_bytes(image(version, self.payload(app).read_bytes(), counter))
        return path


def image(version, payload, counter=1, product=PRODUCT, board="linuxhost", key=IMAGE_KEY, vendor=BOARD.vendor):
    """The bytes of a signed image."""
    recipe = signing.Recipe(Version.parse(version), counter, vendor, f"{product}/{board}", BOARD.header_size)
    return signing.build(payload, recipe, keys.load_private(key))


def digestsign(digest, key=DIGEST_KEY):
    signature = keys.load_private(key).key.sign(digest, padding.PKCS1v15(), hashes.SHA256())
    return base64.b64encode(signature).decode()


def notice(artifact, url, version, /, key=DIGEST_KEY, without=(), **fields):
    """An upgrade message as the cloud writes it. `fields` replace those of data, `without` leaves some out."""
    digest = hashlib.sha256(artifact).digest()
    data = {
        "size": len(artifact),
        "sign": digest.hex(),
        "version": version,
        "url": url,
        "signMethod": "SHA256",
        "digestsign": digestsign(digest, key),
    }
    data = {name: value for name, value in (data | fields).items() if name not in without}
    return json.dumps({"code": "1000", "data": data, "id": 1553688236684, "message": "success"}).encode()
