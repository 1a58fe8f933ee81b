"""The flash's file-system area as a block device."""

# SPDX-License-Identifier: MIT
import esp


class FlashBdev:
    SEC_SIZE = 4096

    def __init__(self, start_sec, blocks):
        self.start_sec = start_sec
        self.blocks = blocks

    def readblocks(self, n, buf, off=0):
        esp.flash_read((n + self.start_sec) * self.SEC_SIZE + off, buf)

    def writeblocks(self, n, buf, off=None):
        if off is None:
            esp.flash_erase(n + self.start_sec)
            off = 0
        esp.flash_write((n + self.start_sec) * self.SEC_SIZE + off, buf)

    def ioctl(self, op, arg):
        if op == 4:  # number of blocks
            return self.blocks
        if op == 5:  # their size
            return self.SEC_SIZE
        if op == 6:  # erase one
            esp.flash_erase(arg + self.start_sec)
            return 0


_start = esp.flash_user_start() // FlashBdev.SEC_SIZE
# The last 20 KiB belong to the SDK.
bdev = FlashBdev(_start, (esp.flash_size() - 20480) // FlashBdev.SEC_SIZE - _start)
