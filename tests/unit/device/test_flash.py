"""The flash contract refuses what is out of range or not aligned."""

# SPDX-License-Identifier: MIT
from ota.hal.flash import Flash

from fakes import code_of
from ramflash import BLOCK, SECTOR, RamFlash

E_FLASH = 1060


def made():
    return Flash(RamFlash(4), 4 * SECTOR, SECTOR)


def test_what_was_written_is_read_and_erased():
    flash = made()
    buf = bytearray(16)
    flash.write(SECTOR, b"0123456789abcdefXXXX", 16)
    flash.read(SECTOR, buf)
    assert buf == b"0123456789abcdef"
    flash.erase(0, 2 * SECTOR)
    flash.read(SECTOR, buf)
    assert buf == b"\xff" * 16


def test_blocks_are_erased_where_a_range_holds_all_of_them():
    chip = RamFlash(16)
    flash = Flash(chip, 16 * SECTOR, SECTOR, BLOCK, chip.erase_block)
    flash.erase(2 * SECTOR, 11 * SECTOR)
    assert chip.erased == [0] * 2 + [1] * 11 + [0] * 3
    assert (chip.blocks, chip.operations) == (2, 2 + 2 + 1)
    assert flash.block == BLOCK and Flash(chip, 16 * SECTOR, SECTOR).block == SECTOR


def test_offsets_out_of_range_or_unaligned_are_refused():
    flash, buf = made(), bytearray(32)
    for offset in (-16, 8, 1, 4 * SECTOR - 16, 4 * SECTOR, 1 << 40):
        assert code_of(flash.write, offset, buf, 32) == E_FLASH, offset
    for n in (1, 8, 17, -16):
        assert code_of(flash.write, 0, buf, n) == E_FLASH, n
    for offset, n in ((1, SECTOR), (0, 16), (3 * SECTOR, 2 * SECTOR), (-SECTOR, SECTOR), (0, 5 * SECTOR)):
        assert code_of(flash.erase, offset, n) == E_FLASH, (offset, n)
    for offset in (2, -4, 4 * SECTOR - 28):
        assert code_of(flash.read, offset, buf) == E_FLASH, offset


def test_failures_of_the_driver_have_the_code_of_the_flash():
    flash = made()
    flash._driver.broken = True
    assert code_of(flash.write, 0, bytes(16), 16) == E_FLASH
    assert code_of(flash.erase, 0, SECTOR) == E_FLASH
    assert code_of(flash.read, 0, bytearray(16)) == E_FLASH
