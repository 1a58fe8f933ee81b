"""A NOR flash in memory, stricter than a chip, with the functions of the ESP8266 port's `esp`.

A write may only clear bits, in units of 16 bytes; reads are aligned to 4; every operation is counted; `cut_at`
loses power in the middle of that operation; a sector or place can be bad, and reads of `unreadable` bytes fail. Allocates nothing per call.
"""

# SPDX-License-Identifier: MIT
SECTOR = 4096
BLOCK = 4 * SECTOR  # what erase_block erases; a chip has 64 KiB


class Cut(Exception):
    """Power is lost."""


class RamFlash:
    def __init__(self, sectors):
        self.cells = bytearray(b"\xff" * (sectors * SECTOR))
        self.erased = [0] * sectors
        self.blocks = 0
        self.operations = 0
        self.cut_at = 0
        self.bad_places = ()
        self.broken = False
        self.unreadable = None
        self._off = False

    def power(self):
        """Power is back."""
        self._off = False
        self.cut_at = self.operations = 0

    def flash_read(self, offset, buf):
        if self.broken or len(buf) == self.unreadable:
            raise OSError(5, "EIO")
        if self._off:
            raise Cut
        assert offset % 4 == 0 and 0 <= offset and offset + len(buf) <= len(self.cells)
        for i in range(len(buf)):
            buf[i] = self.cells[offset + i]

    def flash_write(self, offset, buf):
        n = len(buf)
        assert n > 0 and offset % 16 == 0 and n % 16 == 0 and 0 <= offset and offset + n <= len(self.cells)
        for i in range(n):
            assert buf[i] & ~self.cells[offset + i] == 0, "a write sets a bit"
        if self.broken:
            raise OSError(5, "EIO")
        torn = self._begin()
        if offset in self.bad_places:
            return
        for i in range(n // 2 if torn else n):
            self.cells[offset + i] &= buf[i]
        self._end(torn)

    def flash_erase(self, sector):
        assert 0 <= sector < len(self.erased)
        if self.broken:
            raise OSError(5, "EIO")
        self._erase(sector, 1)

    def erase_block(self, block):
        assert 0 <= block < len(self.erased) * SECTOR // BLOCK
        self.blocks += 1
        self._erase(block * BLOCK // SECTOR, BLOCK // SECTOR)

    def _erase(self, first, sectors):
        torn = self._begin()
        for sector in range(first, first + sectors):
            self.erased[sector] += 1
        start = first * SECTOR
        n = sectors * SECTOR
        for i in range(start, start + (n // 2 if torn else n)):
            self.cells[i] = 0xFF
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
        self.cells[offset : offset + len(data)] = data

    def get(self, offset, n):
        return bytes(self.cells[offset : offset + n])
