"""What stands around the code under test: a clock, a board, a transport, a source, and the files made for the tests."""

# SPDX-License-Identifier: MIT
import hashlib
import os

from ota import service, update
from ota.hal.flash import Flash
from ota.notice import parse
from ota.slot import Slot
from ota.transport import mqtt, net

from ramflash import BLOCK, SECTOR, RamFlash

try:
    from frozen_artifacts import FILES  # where there is no file system for them
except ImportError:
    FILES = None

ROOT = os.getenv("MPOTA_ROOT")
SLOT = 16 * SECTOR
BUF = 2048


class Clock:
    """Stands for `time`: every look takes 10 ms."""

    def __init__(self):
        self.now = 0
        self.look_ms = 10

    def ticks_ms(self):
        self.now += self.look_ms
        return self.now

    def sleep_ms(self, ms):
        self.now += ms

    def ticks_add(self, ticks, ms):
        return ticks + ms

    def ticks_diff(self, a, b):
        return a - b


clock = update.time = service.time = net.time = mqtt.time = Clock()


def file(name):
    if FILES:
        return FILES[name]
    with open(os.getenv("MPOTA_UNIT") + "/" + name, "rb") as f:
        return f.read()


def image(name):
    return file(name + ".img")


def digest(data):
    return hashlib.sha256(data).digest()


def hex_of(data):
    return "".join("%02x" % b for b in data)


def base64(data):
    from binascii import b2a_base64

    return b2a_base64(data).decode().strip()


def fields(name="new", version="1.1.0"):
    """`data` of the upgrade message for one of the images."""
    data = image(name)
    return {
        "url": "https://host/" + name,
        "version": version,
        "size": len(data),
        "signMethod": "SHA256",
        "sign": hex_of(digest(data)),
        "digestsign": base64(file(name + ".sha256.sig")),
    }


def payload(data, **more):
    import json

    whole = {"code": "1000", "id": 1, "message": "success", "data": data}
    whole.update(more)
    return json.dumps(whole).encode()


def notice(name="new", version="1.1.0", **changes):
    data = fields(name, version)
    data.update(changes)
    return parse(payload(data))


def trust():
    return (file("key.der"),), file("vendor.id"), file("class.id")


def code_of(action, *args):
    """The code of the OSError an action raises; 0 if none."""
    try:
        action(*args)
    except OSError as e:
        return e.errno
    return 0


class Config:
    CA = None
    PROTOCOL = service.MQTT
    SERVER = None
    SIGN_TYPE = service.SIGN_RSA

    def __init__(self):
        self.IMAGE_KEYS, self.VENDOR_ID, self.CLASS_ID = trust()
        self.DIGEST_KEY = self.IMAGE_KEYS[0]


class Reset(BaseException):
    """The board restarts."""


class Board:
    """Two slots of 64 KiB and a parameter area in a RAM flash, the running image in slot A, confirmed unless told otherwise.
    blocks: the flash has a larger erase, too."""

    has_tls = True
    patch_state = 16384
    active = 0
    slots = ((0, SLOT), (SLOT, SLOT))
    parameters = 2 * SLOT

    def __init__(self, confirmed=True, blocks=False):
        size = self.parameters + 2 * SECTOR
        self.chip = RamFlash(size // SECTOR)
        self.chip.put(0, image("running"))
        self.flash = Flash(self.chip, size, SECTOR, BLOCK, self.chip.erase_block if blocks else None)
        self.fed = 0
        self.joined = None
        if confirmed:
            slot = self.slot(0)
            slot.commit(1, 5)
            slot.confirm()

    def slot(self, i):
        return Slot(self.flash, self.slots[i][0], self.slots[i][1], bytearray(BUF))

    def both(self):
        """Both slots over one scratch buffer, as the service has them."""
        buf = bytearray(BUF)
        return [Slot(self.flash, offset, size, buf) for offset, size in self.slots]

    def feed(self, blocking=False):
        self.fed += 1

    def reset(self):
        raise Reset

    def network_connect(self, ssid, password):
        self.joined = ssid, password

    def network_status(self):
        return True, "test network"


class Transport:
    """Takes reports; its messages are put into the service's hands by `deliver`."""

    connected = True

    def __init__(self):
        self.reports = []
        self.informed = []
        self.losses = 0
        self.online = True

    def poll(self):
        pass

    def inform(self, version):
        self.informed.append(version)
        return self.online

    def request(self, version):
        return self.online

    def report(self, step, desc="", qos=0):
        self.reports.append((step, desc))
        return self.online

    def lost(self, why):
        self.losses += 1

    def close(self):
        self.connected = False


class Source:
    """An artifact on a server that can drop the connection, change its mind or serve too much."""

    def __init__(self, data):
        self.data = data
        self.opened = []
        self.drops = []  # bytes after which each connection ends
        self.replaced = 0  # how often the artifact is found to be another one
        self.error = None
        self.closed = 0

    def open(self, offset):
        self.opened.append(offset)
        if self.error:
            raise OSError(self.error, "")
        if self.replaced:
            self.replaced -= 1
            return False
        self._at = offset
        self._left = self.drops.pop(0) if self.drops else len(self.data)
        return True

    def readinto(self, buf, n):
        if n > min(len(self.data) - self._at, self._left):
            raise OSError(104, "")
        for i in range(n):
            buf[i] = self.data[self._at + i]
        self._at += n
        self._left -= n
        return n

    def ended(self):
        return self._at >= len(self.data)

    def close(self):
        self.closed += 1
