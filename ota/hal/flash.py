"""The flash contract over a driver with the ESP8266 port's `esp` functions.

read(offset, buf), write(offset, buf, n), erase(offset, n); offsets and sizes in bytes. Reads are whole words, writes are aligned to
16 bytes, erases to the sector. `block` is the largest erase: the sector, or more where the driver has it. Misuse and every failure of the driver is OSError(1060), never taken for a lost connection.
read_raw(offset, buf): the driver's own, a tenth of the time; the caller sees to the rest.
"""

# SPDX-License-Identifier: MIT
from micropython import const

_WRITE = const(16)
_E_FLASH = const(1060)


class Flash:
    def __init__(self, driver, size, sector, block=0, erase_block=None):
        """erase_block(n): erases the n-th block; None: there are only sectors."""
        self._driver = driver
        self.read_raw = driver.flash_read
        self.size = size
        self.sector = sector
        self.block = block if erase_block else sector
        self._erase_block = erase_block

    def read(self, offset, buf):
        self._check(offset, len(buf), 4)
        try:
            self._driver.flash_read(offset, buf)
        except OSError:
            raise OSError(_E_FLASH)

    def write(self, offset, buf, n):
        self._check(offset, n, _WRITE)
        try:
            self._driver.flash_write(offset, buf if n == len(buf) else memoryview(buf)[:n])
        except OSError:
            raise OSError(_E_FLASH)

    def erase(self, offset, n):
        self._check(offset, n, self.sector)
        try:
            while n:
                done = self.sector
                if self._erase_block and offset % self.block == 0 and n >= self.block:
                    done = self.block
                    self._erase_block(offset // done)
                else:
                    self._driver.flash_erase(offset // done)
                offset += done
                n -= done
        except OSError:
            raise OSError(_E_FLASH)

    def _check(self, offset, n, unit):
        if offset % unit or n % unit or offset < 0 or n < 0 or offset > self.size or n > self.size - offset:
            raise OSError(_E_FLASH)
