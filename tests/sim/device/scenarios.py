"""Whole lives. A life is a list of chapters; each offers an artifact and says what must have happened at its end.

A scenario is a function of a seed. The first ones ignore it: their lives differ by where they are cut. The others are random: bad
luck, rot and worn parts.
"""

# SPDX-License-Identifier: MIT
import random

import _sim

UNWRITABLE, ENDURANCE, ROT = 1, 2, 3  # enum sim_fault
MQTT_TCP, MQTT_TLS, COAP_UDP, COAP_DTLS = "mqtt", "mqtts", "coap", "coaps"
SECURE = MQTT_TLS, COAP_DTLS
SCHEMES = {MQTT_TCP: "http", MQTT_TLS: "https", COAP_UDP: "coap", COAP_DTLS: "coaps"}


class Chapter:
    """offer: name of what the server offers. ends: the version that runs confirmed at the chapter's end; None: the offered one, or
    any if the server was told one of the codes. fate: what the new image does: "good", "hang" (never gives a sign of life), "gives
    up" (calls rollback) or "alone" (its first trial passes without a server). told: failure codes one of which the server must have heard, or (). setup(life): what is bad."""

    def __init__(self, offer, ends, fate="good", told=(), setup=None):
        self.offer = offer
        self.ends = ends
        self.fate = fate
        self.told = told
        self.setup = setup


class Scenario:
    """factory: what lies in slot A at first, or None for a blank flash: a person then sends 1.0.0 to the console. random: how many
    cuts there are while a sector is written, on average, or 0. channel: of the four; over a secure one the device registers first."""

    def __init__(self, *chapters, factory="1.0.0", random=0, channel=MQTT_TCP):
        self.factory = factory
        self.channel = channel
        self.chapters = (Chapter(None, "1.0.0"),) + chapters
        self.random = random


def _lossy(life):
    size = life.server.offer.size
    life.server.drops = [size // 5, size // 2, size // 2 + 1, size - 1]


def _without_ranges(life):
    life.server.ranges = False
    _lossy(life)


def _lying(life):
    life.server.corrupt = 1


SECOND = Chapter("1.2.0", "1.2.0")

# Each cut at every operation.
CUT = {
    "image": lambda: Scenario(Chapter("1.1.0", "1.1.0")),
    "twice": lambda: Scenario(Chapter("1.1.0", "1.1.0"), SECOND),
    "patch": lambda: Scenario(Chapter("patch", "1.1.9"), SECOND),
    "hang": lambda: Scenario(Chapter("1.1.0", "1.0.0", "hang", (1090,)), SECOND),
    "gives-up": lambda: Scenario(Chapter("1.1.0", "1.0.0", "gives up", (1091, 1090)), SECOND),
    "alone": lambda: Scenario(Chapter("1.1.0", "1.1.0", "alone", (1092,)), SECOND),
    "lossy": lambda: Scenario(Chapter("1.1.0", "1.1.0", setup=_lossy)),
    "no-range": lambda: Scenario(Chapter("1.1.0", "1.1.0", setup=_without_ranges)),
    "lying": lambda: Scenario(Chapter("1.1.0", "1.1.0", setup=_lying)),
    "foreign": lambda: Scenario(Chapter("foreign", "1.0.0", told=(1006, 1031)), SECOND),
    "coap": lambda: Scenario(Chapter("1.1.0", "1.1.0", setup=_lossy), SECOND, channel=COAP_UDP),
    "coap-patch": lambda: Scenario(Chapter("patch", "1.1.9"), SECOND, channel=COAP_UDP),
    "tls": lambda: Scenario(Chapter("1.1.0", "1.0.0", "hang", (1090,)), SECOND, channel=MQTT_TLS),
    "dtls": lambda: Scenario(Chapter("1.1.0", "1.0.0", "hang", (1090,)), SECOND, channel=COAP_DTLS),
    "console": lambda: Scenario(Chapter("1.1.0", "1.1.0"), factory=None),
}

_LAST = 8  # 2.1.0 to 2.8.0


def _bad_luck(life):
    """Lost connections, a server without Range, one that lies; most of the time none of it."""
    luck = random.randrange(8)
    if luck < 3:
        size = life.server.offer.size
        life.server.drops = [random.randrange(size) for _ in range(4)]
    life.server.ranges = luck != 3
    life.server.corrupt = luck == 4


def soak(seed):
    fates = ("good", "good", "good", "hang", "gives up")
    told = (1090, 1091, 1031)
    chapters = [Chapter("2.%d.0" % i, None, fates[random.randrange(5)], told, _bad_luck) for i in range(1, _LAST + 1)]
    return Scenario(*chapters, random=1)


def rot(seed):
    """A bit falls over in one slot or the other, in the image or among the marks."""

    def setup(life):
        part = life.world.part
        slot = random.randrange(2)
        base = slot * part["slot_bytes"]
        if random.randrange(2):
            offset = base + random.randrange(life.world.offers["1.1.1"].size)
        else:
            offset = base + part["slot_bytes"] - part["sector"] + random.randrange(20 * 16)
        life.oracle.rotten = True
        _sim.fault(ROT, offset, random.randrange(8))

    return Scenario(Chapter("1.1.1", "1.1.1"), Chapter("1.2.0", "1.2.0", setup=setup))


def bad_sector(seed):
    """A sector of the inactive slot neither erases nor programs."""

    def setup(life):
        part = life.world.part
        sectors = part["slot_bytes"] // part["sector"]
        used = (life.server.offer.size + part["sector"] - 1) // part["sector"] + 1
        i = seed % used
        _sim.fault(UNWRITABLE, part["slot_bytes"] + (sectors - 1 if i == 0 else i - 1) * part["sector"], part["sector"])

    return Scenario(Chapter("1.1.0", "1.0.0", told=_FAILED, setup=setup))


def worn(seed):
    """Sectors stand a few erases only, and the updates go on."""

    def setup(life):
        _sim.fault(ENDURANCE, seed % 6 + 1, 0)

    return Scenario(*[Chapter("2.%d.0" % i, None, "good", _FAILED, setup) for i in range(1, _LAST + 1)], random=seed % 3 / 4)


_FAILED = (5, 1043, 1060, 1061, 1090, 1031)
RANDOM = {"soak": soak, "rot": rot, "bad-sector": bad_sector, "worn": worn}
