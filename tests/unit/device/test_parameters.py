"""The parameter area keeps the old text or the new one, whatever a cut leaves behind: also cells that cannot make up their mind."""

# SPDX-License-Identifier: MIT
from ota.hal.flash import Flash
from ota.parameters import Parameters

from fakes import code_of
from ramflash import Cut, RamFlash

SECTOR = 256
BASE = SECTOR
OLD, NEW = b"the old text", b"a new text, longer than the old one"


class Cells(RamFlash):
    """After a cut the bytes of its operation read as before it, as after it, or differently each time: all of them, or the
    last one that was to change; or they do not read at all, as on flash with ECC."""

    kinds = ("nothing", "half", "all", "unstable", "begun", "nearly", "unreadable")

    def __init__(self, other=None):
        super().__init__(0)
        self.cells = bytearray(other.cells if other else b"\xff" * (4 * SECTOR))
        self.kind = "half"
        self.unstable = dict(other.unstable) if other else {}  # offset: (before, after)
        self.random = 1

    def flash_read(self, offset, buf):
        super().flash_read(offset, buf)
        for at in self.unstable:
            if offset <= at < offset + len(buf):
                if self.unstable[at] is None:
                    raise OSError(5, "EIO")
                self.random = self.random * 1103515245 + 12345 & 0x7FFFFFFF
                buf[at - offset] = self.unstable[at][self.random >> 20 & 1]

    def flash_write(self, offset, buf):
        after = bytes(a & b for a, b in zip(self.get(offset, len(buf)), buf))
        self._change(offset, after)

    def flash_erase(self, sector):
        self._change(sector * SECTOR, b"\xff" * SECTOR)

    def _change(self, offset, after):
        torn = self._begin()
        n = len(after)
        before = self.get(offset, n)
        self.unstable = {at: self.unstable[at] for at in self.unstable if not offset <= at < offset + n}
        changed = [i for i in range(n) if before[i] != after[i]]
        if not torn or self.kind in ("all", "nearly"):
            self.put(offset, after)
        elif self.kind == "half":
            self.put(offset, after[: n // 2])
        if torn and self.kind in ("unstable", "begun", "nearly"):
            for i in changed if self.kind == "unstable" else changed[-1:]:
                self.unstable[offset + i] = before[i], after[i]
        if torn and self.kind == "unreadable":
            self.unstable.update((offset + i, None) for i in changed)
        self._end(torn)


def area(cells):
    cells.power()
    return Parameters(Flash(cells, 4 * SECTOR, SECTOR), BASE)


def saved(text):
    cells = Cells()
    area(cells).save(text)
    return cells


def settles(cells):
    """What every boot from now on reads: it must always be the same."""
    found = area(cells).load()
    for _ in range(3):
        assert area(cells).load() == found
    return found


def cut_in(cells, operation, kind, action):
    """Runs the action with a cut in that operation. Returns whether it came to its end before."""
    one = area(cells)
    cells.cut_at, cells.kind = operation, kind
    try:
        action(one)
        return True
    except Cut:
        return False


def test_blank_or_strange_sectors_hold_nothing():
    assert area(Cells()).load() is None
    for byte in (0, 0x55):
        cells = Cells()
        cells.put(0, bytes([byte]) * 4 * SECTOR)
        assert area(cells).load() is None


def test_what_was_saved_is_loaded_and_nothing_beside_it_is_touched():
    cells = Cells()
    cells.put(0, b"x" * SECTOR)
    cells.put(3 * SECTOR, b"y" * SECTOR)
    for text in (OLD, b"", NEW, b"z" * (SECTOR - 64)):
        area(cells).save(text)
        assert area(cells).load() == text
    assert cells.get(0, SECTOR) == b"x" * SECTOR and cells.get(3 * SECTOR, SECTOR) == b"y" * SECTOR


def test_text_that_does_not_fit_is_refused_and_changes_nothing():
    cells = saved(OLD)
    assert code_of(area(cells).save, b"z" * (SECTOR - 63)) == 28
    assert area(cells).load() == OLD and cells.operations == 0


def test_same_text_again_wears_nothing():
    cells = saved(OLD)
    area(cells).save(OLD)
    assert cells.operations == 0


def test_either_sector_alone_is_enough_and_the_other_is_made_again():
    for which in (0, 1):
        for damage in (b"\xff" * SECTOR, bytes(SECTOR), b"\x5a" * 64):
            cells = saved(NEW)
            cells.put(BASE + which * SECTOR, damage)
            assert area(cells).load() == NEW
            cells.put(BASE + (1 - which) * SECTOR, bytes(SECTOR))
            assert area(cells).load() == NEW


def test_one_changed_bit_is_noticed():
    for at in (0, 31, 32, 33, 48, 48 + len(NEW) - 1):
        cells = saved(NEW)
        cells.cells[BASE + at] ^= 4
        cells.put(BASE + SECTOR, bytes(SECTOR))
        assert area(cells).load() is None, at


def test_sector_that_takes_nothing_is_told_and_the_other_is_read():
    cells = saved(OLD)
    cells._change = lambda offset, after: None
    assert code_of(area(cells).save, NEW) == 1060
    assert area(cells).load() == OLD


def test_every_pair_of_cuts_leaves_the_old_or_the_new_text_for_good():
    seen = set()
    for first in range(1, 7):
        for kind in Cells.kinds:
            cells = saved(OLD)
            assert not cut_in(cells, first, kind, lambda one: one.save(NEW))
            for second in range(1, 7):
                for again in Cells.kinds:
                    for seed in range(4):
                        other = Cells(cells)
                        other.random = seed * 12345 + first * 64 + second
                        cut_in(other, second, again, lambda one: one.load())
                        found = settles(other)
                        assert found in (OLD, NEW), (first, kind, second, again, seed)
                        seen.add((first, found))
    assert (1, OLD) in seen and (6, NEW) in seen


def test_every_cut_of_a_second_change_after_a_cut_keeps_one_of_both():
    for first in range(1, 7):
        for kind in Cells.kinds:
            cells = saved(OLD)
            cut_in(cells, first, kind, lambda one: one.save(NEW))
            for second in range(1, 13):
                for again in Cells.kinds:
                    for seed in range(4):
                        other = Cells(cells)
                        other.random = seed * 12345 + first * 64 + second
                        done = cut_in(other, second, again, lambda one: one.save(b"third"))
                        found = settles(other)
                        assert found == b"third" if done else found in (OLD, NEW, b"third"), (first, kind, second, again, seed)


def test_first_text_ever_is_there_or_not_and_once_there_it_stays():
    for first in range(1, 7):
        for kind in Cells.kinds:
            cells = Cells()
            cut_in(cells, first, kind, lambda one: one.save(NEW))
            found = [area(cells).load() for _ in range(6)]
            missing = found.count(None)
            assert found == [None] * missing + [NEW] * (6 - missing), (first, kind, found)


def test_record_stands_as_the_spec_says():
    import hashlib

    cells = saved(NEW)
    for which in (0, 1):
        sector = cells.get(BASE + which * SECTOR, SECTOR)
        n = sector[32] | sector[33] << 8
        assert sector[48 : 48 + n] == NEW and sector[34:48] == b"\xff" * 14
        assert sector[:32] == hashlib.sha256(sector[32:34] + NEW).digest()
        assert sector[-16:] == bytes(16)
