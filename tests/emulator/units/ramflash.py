"""The unit tests' flash on the emulated chip: its own, where the file system would be, with the face and the strictness of
tests/unit/device/ramflash.py. The memory for a flash in memory is not there."""

# SPDX-License-Identifier: MIT
import esp

SECTOR = 4096
BLOCK = 4 * SECTOR
_BASE = 0x200000
_PART = 256


class Cut(Exception):
    """Power is lost."""


class Cells:
    """Bytes of the flash that are compared without being read at once."""

    def __init__(self, flash, offset, n):
        self._flash, self._offset, self._n = flash, offset, n

    def __eq__(self, other):
        if len(other) != self._n:
            return False
        for i in range(0, self._n, _PART):
            n = min(_PART, self._n - i)
            if self._flash.get(self._offset + i, n) != bytes(memoryview(other)[i : i + n]):
                return False
        return True


class RamFlash:
    def __init__(self, sectors):
        self._size = sectors * SECTOR
        self.erased = [0] * sectors
        for sector in range(sectors):
            esp.flash_erase(_BASE // SECTOR + sector)
        self.blocks = 0
        self.bad_places = ()
        self.broken = False
        self.power()

    def power(self):
        """Power is back."""
        self._off = False
        self.cut_at = self.operations = 0

    def flash_read(self, offset, buf):
        if self.broken:
            raise OSError(5, "EIO")
        if self._off:
            raise Cut
        assert offset % 4 == 0 and 0 <= offset and offset + len(buf) <= self._size
        esp.flash_read(_BASE + offset, buf)

    def flash_write(self, offset, buf):
        n = len(buf)
        assert n > 0 and offset % 16 == 0 and n % 16 == 0 and 0 <= offset and offset + n <= self._size
        for i in range(0, n, _PART):
            old = esp.flash_read(_BASE + offset + i, min(_PART, n - i))
            for k in range(len(old)):
                assert buf[i + k] & ~old[k] == 0, "a write sets a bit"
        if self.broken:
            raise OSError(5, "EIO")
        torn = self._begin()
        if offset in self.bad_places:
            return
        esp.flash_write(_BASE + offset, bytearray(memoryview(buf)[: n // 2] if torn else buf))  # a constant lies in flash
        self._end(torn)

    def flash_erase(self, sector):
        assert 0 <= sector < len(self.erased)
        if self.broken:
            raise OSError(5, "EIO")
        self._erase(sector, 1)

    def erase_block(self, block):
        assert 0 <= block < self._size // BLOCK
        self.blocks += 1
        self._erase(block * BLOCK // SECTOR, BLOCK // SECTOR)

    def _erase(self, first, sectors):
        torn = self._begin()
        for sector in range(first, first + sectors):
            self.erased[sector] += 1
        half = first * SECTOR + sectors * SECTOR // 2
        kept = self.get(half, SECTOR // 2) if torn else b""
        for sector in range(first, half // SECTOR + 1 if torn else first + sectors):
            esp.flash_erase(_BASE // SECTOR + sector)
        if torn and half % SECTOR:
            esp.flash_write(_BASE + half, kept)
        self._end(torn)

    def _begin(self):
        if self._off:
            raise Cut
        self.operations += 1
        return self.operations == self.cut_at

    def _end(self, torn):
        if torn:
            self._off = True
            raise Cut

    def put(self, offset, data):
        sector = bytearray(SECTOR)
        for start in range(offset // SECTOR * SECTOR, offset + len(data), SECTOR):
            esp.flash_read(_BASE + start, sector)
            for i in range(max(offset - start, 0), min(offset + len(data) - start, SECTOR)):
                sector[i] = data[start + i - offset]
            esp.flash_erase((_BASE + start) // SECTOR)
            esp.flash_write(_BASE + start, sector)

    def get(self, offset, n):
        if n > SECTOR:
            return Cells(self, offset, n)
        skip = offset % 4
        data = esp.flash_read(_BASE + offset - skip, (skip + n + 3) // 4 * 4)
        return data if len(data) == n else data[skip : skip + n]
