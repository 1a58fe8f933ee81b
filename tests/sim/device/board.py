"""The device's board over `_sim`, and what ends a power cycle: Cut and Reset."""

# SPDX-License-Identifier: MIT
import _sim
from _starve import outside
from ota.hal.flash import Flash


class Cut(BaseException):
    """Power failed inside a flash operation. No code of the device may catch it."""


class Reset(BaseException):
    """The device asked for a reset."""


class Driver:
    """As the ESP8266's `esp` module. Behind the slots is the parameter area, which is not cut here."""

    def __init__(self, world):
        self._end = 2 * world.part["slot_bytes"]
        self._parameters = world.parameters
        self._sector = world.part["sector"]
        self._block = world.part["block"]
        self._errno = world.errno

    @outside
    def flash_read(self, offset, buf):
        if offset < self._end:
            self._done(_sim.read(offset, buf))
        else:
            buf[:] = self._parameters[offset - self._end : offset - self._end + len(buf)]

    @outside
    def flash_write(self, offset, buf):
        if offset < self._end:
            self._done(_sim.write(offset, buf))
        else:
            for at, byte in enumerate(buf, offset - self._end):
                if byte & ~self._parameters[at]:
                    raise OSError(self._errno)
                self._parameters[at] = byte

    @outside
    def flash_erase(self, sector):
        offset = sector * self._sector
        if offset < self._end:
            self._done(_sim.erase(offset, self._sector))
        else:
            self._parameters[offset - self._end : offset - self._end + self._sector] = b"\xff" * self._sector

    @outside
    def flash_erase_block(self, block):
        self._done(_sim.erase(block * self._block, self._block))

    def _done(self, result):
        if result == 2:
            raise Cut
        if result:
            raise OSError(self._errno)


class Board:
    patch_state = 8192

    def __init__(self, world, active, has_tls):
        size = world.part["slot_bytes"]
        driver, block = Driver(world), world.part["block"]
        self.flash = Flash(driver, 2 * size + len(world.parameters), world.part["sector"], block, driver.flash_erase_block if block else None)
        self.slots = ((0, size), (size, size))
        self.parameters = 2 * size
        self.has_tls = has_tls
        self.active = active

    def feed(self, blocking=False):
        pass

    @outside
    def reset(self):
        raise Reset

    def network_connect(self, ssid, password):
        pass

    def network_status(self):
        return True, ""


class Config:
    """Stands for the generated `ota_config`."""

    CA = b"CA"
    PROTOCOL = 0
    SERVER = "peer", 1883
    SIGN_TYPE = 2

    def __init__(self, world):
        self.IMAGE_KEYS = (world.key,)
        self.DIGEST_KEY = world.key
        self.VENDOR_ID = world.vendor_id
        self.CLASS_ID = world.class_id
