"""A slot's trailer, on a flash that is stricter than a chip."""

# SPDX-License-Identifier: MIT
from ota import native
from ota.slot import IMAGE, PATCH

from fakes import BUF, SLOT, Board, code_of
from ramflash import SECTOR, Cut

E_FLASH, E_TRAILER_FULL = 1060, 1061
TRAILER = 2 * SLOT - SECTOR
DIGEST = b"digest-of-the-artifact"
BLANK = b"\xff" * 16


def first_bytes(board):
    """The kinds of the marks in the inactive slot's trailer, in order."""
    cells = board.chip.get(TRAILER, SECTOR)
    return "".join(chr(cells[i]) for i in range(0, SECTOR, 16) if cells[i : i + 16] != BLANK)


def fresh():
    board = Board()
    return board, board.slot(1)


def story(slot):
    return slot.complete, slot.rejected, slot.confirmed, slot.sequence, slot.counter


def test_marks_that_end_a_step_stand_twice():
    board, slot = fresh()
    slot.begin(IMAGE, 64 * SECTOR, DIGEST)
    slot.commit(7, 9)
    slot.confirm()
    slot.reject(1005)
    slot.report()
    assert first_bytes(board) == "SSCCYYXXR"


def test_marks_are_read_back_from_flash():
    board, slot = fresh()
    slot.begin(PATCH, 5 * SECTOR + 1, DIGEST)
    slot.commit(0x12345678, 0xFEDCBA98)
    again = board.slot(1)
    assert again.holds(PATCH, 5 * SECTOR + 1, DIGEST)
    assert story(again) == (True, False, False, 0x12345678, 0xFEDCBA98)
    again.confirm()
    assert board.slot(1).confirmed
    again.reject(1091)
    again = board.slot(1)
    assert (again.confirmed, again.rejected, again.reason, again.unreported) == (False, True, 1091, True)
    again.report()
    assert not board.slot(1).unreported


def test_slot_holds_only_the_very_artifact_it_was_started_for():
    slot = fresh()[1]
    assert not slot.holds(IMAGE, 100, DIGEST)
    slot.begin(IMAGE, 100, DIGEST)
    assert slot.holds(IMAGE, 100, DIGEST)
    assert not slot.holds(PATCH, 100, DIGEST)
    assert not slot.holds(IMAGE, 101, DIGEST)
    assert not slot.holds(IMAGE, 100, b"another")


def test_artifact_lies_at_the_start_or_just_below_the_trailer():
    slot = fresh()[1]
    slot.begin(IMAGE, 2 * SECTOR + 1, DIGEST)
    assert slot.artifact_offset() == SLOT
    slot.begin(PATCH, 2 * SECTOR + 1, DIGEST)
    assert slot.artifact_offset() == TRAILER - 3 * SECTOR
    slot.begin(PATCH, 2 * SECTOR, DIGEST)
    assert slot.artifact_offset() == TRAILER - 2 * SECTOR


def test_progress_is_marked_at_most_once_per_step_and_survives_a_cut():
    board, slot = fresh()
    size = 128 * SECTOR
    slot.begin(IMAGE, size, DIGEST)
    for sectors in range(1, 129):
        slot.step(sectors * SECTOR)
        assert board.slot(1).progress == sectors // 2 * 2 * SECTOR
    assert first_bytes(board) == "SS" + "P" * 64


def test_progress_of_an_artifact_of_few_sectors_is_marked_at_each():
    board, slot = fresh()
    slot.begin(IMAGE, 3 * SECTOR + 5, DIGEST)
    for written in (SECTOR, 2 * SECTOR, 3 * SECTOR, 3 * SECTOR + 5):
        slot.step(written)
        assert board.slot(1).progress == written
    assert first_bytes(board) == "SSPPPP"


def test_install_has_marks_of_its_own_behind_those_of_its_patch():
    board, slot = fresh()
    slot.begin(PATCH, 2 * SECTOR + 5, DIGEST)
    assert slot.installed == 0
    slot.step(2 * SECTOR + 5)
    assert board.slot(1).installed == 0 and board.slot(1).progress == 2 * SECTOR + 5
    size = 64 * SECTOR + 5
    for sectors in range(1, 65):
        slot.step(sectors * SECTOR, size)
        slot.step(sectors * SECTOR - BUF, size)
        assert sectors - 3 <= board.slot(1).installed // SECTOR == slot.installed // SECTOR <= sectors
    slot.step(size, size)
    assert board.slot(1).installed == size
    assert first_bytes(board) == "SSP" + "P" * 32


def test_slot_whose_erase_fails_is_not_resumed():
    board, slot = fresh()
    slot.begin(IMAGE, 64 * SECTOR, DIGEST)
    slot.step(SECTOR)
    board.chip.broken = True
    assert code_of(slot.begin, IMAGE, 64 * SECTOR, DIGEST) == E_FLASH
    board.chip.broken = False
    assert not slot.holds(IMAGE, 64 * SECTOR, DIGEST) and slot.progress == 0
    slot.begin(IMAGE, 64 * SECTOR, DIGEST)
    assert slot.holds(IMAGE, 64 * SECTOR, DIGEST)


def test_last_places_are_not_for_progress():
    board, slot = fresh()
    slot.begin(IMAGE, 64 * SECTOR, DIGEST)
    places = SECTOR // 16
    slot._next = places - 17
    for sectors in range(1, 65):
        slot.step(sectors * SECTOR)
    assert slot.progress == board.slot(1).progress == SECTOR
    slot.commit(1, 2)
    slot.confirm()
    assert board.slot(1).confirmed


def test_begin_zeroes_complete_confirmed_and_started_before_it_erases():
    board, slot = fresh()
    slot.begin(IMAGE, 100, DIGEST)
    slot.commit(3, 4)
    slot.confirm()
    erase, seen = board.chip.flash_erase, []

    def spy(sector):
        seen.append(board.chip.get(TRAILER, 96))
        erase(sector)

    board.chip.flash_erase = spy
    slot.begin(IMAGE, 100, b"other!")
    assert seen == [bytes(96)]


def test_mend_writes_the_missing_copy_of_a_mark():
    board = Board(confirmed=False)
    slot = board.slot(1)
    lone = (("C", 5, b"\x09\0\0\0\0\0"), ("Y", 0, bytes(6)), ("X", 1007, bytes(6)))
    for i in range(3):
        kind, number, tail = lone[i]
        place = bytearray(16)
        native.mark(place, ord(kind), 0, number, tail)
        board.chip.put(TRAILER + 16 * i, place)
    slot.load()
    slot.mend()
    assert first_bytes(board) == "CYXCYX"
    again = board.slot(1)
    assert (again.sequence, again.counter, again.reason) == (5, 9, 1007)
    again.mend()
    assert first_bytes(board) == "CYXCYX"


def test_bad_places_are_passed_over():
    board, slot = fresh()
    slot.begin(IMAGE, 100, DIGEST)
    board.chip.bad_places = (TRAILER + 2 * 16, TRAILER + 3 * 16, TRAILER + 5 * 16)
    slot.commit(7, 9)
    assert board.chip.get(TRAILER + 64, 1) == b"C" and board.chip.get(TRAILER + 96, 1) == b"C"
    assert board.slot(1).sequence == 7


def test_places_the_chip_reports_as_failed_are_passed_over():
    board, slot = fresh()
    slot.begin(IMAGE, 100, DIGEST)
    write, calls = board.chip.flash_write, []

    def failing(offset, buf):
        calls.append(offset)
        if len(calls) <= 2:
            raise OSError(5, "EIO")
        write(offset, buf)

    board.chip.flash_write = failing
    slot.commit(7, 9)
    assert calls == [TRAILER + 16 * i for i in range(2, 6)]
    assert board.slot(1).sequence == 7


def test_four_bad_places_in_a_row_are_a_failure_of_the_flash():
    board, slot = fresh()
    slot.begin(IMAGE, 100, DIGEST)
    board.chip.bad_places = tuple(TRAILER + 16 * i for i in range(2, 6))
    assert code_of(slot.commit, 7, 9) == E_FLASH
    board, slot = fresh()
    board.chip.broken = True
    assert code_of(slot.commit, 7, 9) == E_FLASH


def test_full_trailer_is_refused_without_a_write_beyond_it():
    board, slot = fresh()
    slot.begin(IMAGE, 100, DIGEST)
    for _ in range(SECTOR // 16 - 2):
        slot.report()
    operations = board.chip.operations
    assert code_of(slot.report) == E_TRAILER_FULL
    assert board.chip.operations == operations
    assert code_of(slot.commit, 1, 1) == E_TRAILER_FULL
    slot.begin(IMAGE, 100, DIGEST)
    slot.commit(1, 1)


def test_sector_is_erased_before_its_first_part_and_the_rest_left_blank():
    board, slot = fresh()
    board.chip.put(SLOT, bytes(SECTOR))
    slot.aim(SLOT, SLOT + SECTOR)
    for offset, n in ((SLOT, BUF), (SLOT + BUF, 5)):
        for i in range(BUF):
            slot.buf[i] = i & 0x7F
        slot.write_part(offset, n)
    assert board.chip.get(SLOT, 3) == b"\0\1\2" and board.chip.get(SLOT + BUF - 2, 9) == b"\x7e\x7f\0\1\2\3\4\xff\xff"
    assert board.chip.get(SLOT + BUF + 5, SECTOR - BUF - 5) == b"\xff" * (SECTOR - BUF - 5)
    assert board.chip.erased[SLOT // SECTOR] == 1
    slot.read_part(SLOT + BUF)
    assert bytes(slot.buf[:6]) == b"\0\1\2\3\4\xff"


def test_progress_is_marked_at_whole_sectors_and_at_the_end():
    board, slot = fresh()
    slot.begin(0, 3 * SECTOR + 100, DIGEST)
    slot.step(SECTOR + BUF)
    assert board.slot(1).progress == 0
    slot.step(SECTOR)
    assert board.slot(1).progress == SECTOR
    slot.step(3 * SECTOR + 100)
    assert board.slot(1).progress == 3 * SECTOR + 100


def cut(action, *args):
    try:
        action(*args)
    except Cut:
        return True
    return False


def cut_everywhere(prepare, act, check):
    """Cuts `act` at each of its flash operations and checks what the trailer says then, and that `act` can be
    done over. Returns how many cuts there were."""
    cuts = 0
    while True:
        board, slot = fresh()
        prepare(slot)
        before = story(slot)
        board.chip.power()
        board.chip.cut_at = cuts + 1
        if not cut(act, slot):
            assert board.chip.operations == cuts
            return cuts
        cuts += 1
        board.chip.power()
        slot = board.slot(1)
        check(before, slot)
        act(slot)
        done = board.slot(1)
        check(before, done)
        assert story(done) == story(slot)


def old_update(slot):
    slot.begin(IMAGE, 100, b"old one")
    slot.commit(3, 4)
    slot.confirm()


def test_cut_in_begin_leaves_the_old_story_or_none():
    def check(before, slot):
        told = story(slot)
        assert told == before or told[:3] == (True, False, False) or not slot.complete
        assert not slot.complete or (slot.sequence, slot.counter) == (3, 4)
        if slot.holds(IMAGE, 200, DIGEST):
            assert not slot.complete and slot.progress == 0

    def act(slot):
        slot.begin(IMAGE, 200, DIGEST)
        assert slot.holds(IMAGE, 200, DIGEST) and not slot.complete

    assert cut_everywhere(old_update, act, check) == 6 + 1 + 2


def test_cut_in_commit_leaves_the_slot_complete_or_not():
    def check(before, slot):
        assert story(slot) in (before, (True, False, False, 8, 9))
        assert slot.holds(IMAGE, 200, DIGEST)

    assert cut_everywhere(lambda slot: slot.begin(IMAGE, 200, DIGEST), lambda slot: slot.commit(8, 9), check) == 2


def test_cut_in_confirm_leaves_the_slot_confirmed_or_not():
    def prepare(slot):
        slot.begin(IMAGE, 200, DIGEST)
        slot.commit(8, 9)

    def check(before, slot):
        assert story(slot) in (before, (True, False, True, 8, 9))

    assert cut_everywhere(prepare, lambda slot: slot.confirm(), check) == 2


def test_cut_in_reject_leaves_the_slot_rejected_or_not():
    def check(before, slot):
        assert story(slot) in (before, (True, True, False, 3, 4))
        assert not slot.rejected or slot.reason == 1091

    assert cut_everywhere(old_update, lambda slot: slot.reject(1091), check) == 2


def test_cut_in_mend_loses_no_mark():
    def prepare(slot):
        slot.begin(IMAGE, 200, DIGEST)
        slot._append_complete(8, 9, 1)

    def check(before, slot):
        assert slot.complete and (slot.sequence, slot.counter) == (8, 9)

    def act(slot):
        slot.load()
        slot.mend()

    assert cut_everywhere(prepare, act, check) == 1


def test_floor_is_the_counter_of_a_confirmed_slot_only():
    slot = fresh()[1]
    slot.begin(IMAGE, 100, DIGEST)
    slot.commit(3, 4)
    assert slot.floor() == 0
    slot.confirm()
    assert slot.floor() == 4
    slot.reject(1091)
    assert slot.floor() == 0


def test_one_mark_of_a_start_is_not_resumed_and_a_full_trailer_neither():
    for copies, progress, expected in ((1, 0, False), (2, 0, True), (1, 1, True)):
        board = Board()
        board.slot(1).begin(IMAGE, 64 * SECTOR, DIGEST)
        slot = board.slot(1)
        if copies == 1:  # the second is lost
            board.chip.put(slot.trailer + 16, bytes(16))
        if progress:
            board.slot(1).step(SECTOR)
        assert board.slot(1).resumable() is expected, copies
    slot = board.slot(1)
    while slot.resumable():
        slot.resume()
    assert slot.holds(IMAGE, 64 * SECTOR, DIGEST)  # or a rejected one would be fetched again
    assert slot.progress == SECTOR and 16 + 63 <= SECTOR // 16 - slot._next <= 16 + 64
