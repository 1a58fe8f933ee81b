"""What the world offers a device and hears of it, whatever the wire: peer.py and datagrams.py speak for it."""

# SPDX-License-Identifier: MIT
import json

_COMMITTED = 100  # step of a report
_OF_PATCH = range(1070, 1076)  # codes

now = None  # the Server of this life
sockets = 0  # that are open


class Server:
    """What the server offers, how badly it does so, and what the device told it.

    offer: an artifact (world.py) or None. offline: nothing answers. drops: offsets of the artifact at which the connection,
    or a datagram, is lost, each once. ranges: answer Range requests. corrupt: how many answers carry a wrong byte."""

    def __init__(self, world):
        self._world = world
        self.offer = None
        self.offline = False
        self.ranges = True
        self.drops = []
        self.corrupt = 0
        self.lied = False
        self.on_committed = None  # called when the device says that an update is committed
        self.instead = None  # what it offers when the device refuses a patch for good
        self.informed = None  # version of the last inform
        self.failures = []  # (step, code) reported
        self.delivered = 0  # artifact bytes the device has got, highest offset
        self.repeated = 0  # most bytes that a request asked for again
        self.scheme = "http"  # of the artifacts' URLs

    def tell(self, offer):
        """Offers an artifact from now on."""
        self.offer = offer
        self.failures = []
        self.lied = False
        self.delivered = self.repeated = 0

    def told(self, topic, payload):
        """A message from the device; returns the answer to publish or None."""
        message = json.loads(payload)["params"]
        if "version" in message:
            self.informed = message["version"]
        elif "step" in message:
            step = int(message["step"])
            if step < 0:
                self._refused(step, int(message["desc"].split(" ")[0]))
            elif step == _COMMITTED:
                self.on_committed()
            return None
        return self.upgrade()

    def _refused(self, step, code):
        if self.instead and self.offer.patch and code in _OF_PATCH:
            self.tell(self.instead)
        self.failures.append((step, code))

    def upgrade(self):
        """The upgrade message for what is offered, or None if that runs already."""
        offer = self.offer
        if not offer or offer.version == self.informed:
            return None
        return json.dumps(
            {
                "code": "1000",
                "id": 1,
                "message": "success",
                "data": {
                    "url": self.scheme + "://peer/" + offer.name,
                    "version": offer.version,
                    "size": offer.size,
                    "signMethod": "SHA256",
                    "sign": offer.digest,
                    "digestsign": offer.digestsign,
                    "isDiff": offer.patch,
                },
            }
        ).encode()

    def artifact(self, name, start, end=None):
        """(offer, its bytes) for a request of those from start to end."""
        offer = self._world.offers[name]
        data = offer.data
        if offer == self.offer and self.delivered > start and self.ranges:
            self.repeated = max(self.repeated, self.delivered - start)
        if self.corrupt and (end is None or start <= len(data) // 2 < end):
            self.corrupt -= 1
            self.lied = True
            data = bytearray(data)
            data[len(data) // 2] ^= 0x20
        return offer, data

    def lost(self, start, end):
        """What is lost of [start, end) on its way: (where the loss begins, whether there is one); each once."""
        for drop in self.drops:
            if start <= drop < end:
                self.drops.remove(drop)
                return drop, True
        return end, False

    def got(self, end):
        """The device has got the bytes before this one."""
        self.delivered = max(self.delivered, end)
