"""What exists in a life: the part, the keys and the artifacts, as tests/sim/world.py on the host wrote them down."""

# SPDX-License-Identifier: MIT
import binascii
import json


class Offer:
    """An artifact and what its notification says. image: the bytes that boot once it is installed."""

    def __init__(self, folder, name, fields):
        with open(folder + "/" + fields["file"], "rb") as f:
            self.data = f.read()
        self.name = name
        self.version = fields["version"]
        self.size = len(self.data)
        self.digest = fields["digest"]
        self.digestsign = fields["digestsign"]
        self.patch = fields["patch"]
        self.genuine = fields["genuine"]
        self.header = self.data[8] | self.data[9] << 8
        self.payload = self.data[12] | self.data[13] << 8 | self.data[14] << 16


class World:
    def __init__(self, folder):
        with open(folder + "/world.json") as f:
            fields = json.load(f)
        self.part = fields["part"]  # name, sector, command, guarded_unit, raw_trailers, slot_bytes
        self.errno = fields["part"]["errno"]
        self.key = binascii.unhexlify(fields["key"])
        self.vendor_id = binascii.unhexlify(fields["vendor_id"])
        self.class_id = binascii.unhexlify(fields["class_id"])
        self.offers = {name: Offer(folder, name, f) for name, f in fields["offers"].items()}

    def patch_offset(self, offer):
        """Where in a slot a patch lies, or 0."""
        sector = self.part["sector"]
        if not offer or not offer.patch:
            return 0
        return self.part["slot_bytes"] - sector - (offer.size + sector - 1) // sector * sector
