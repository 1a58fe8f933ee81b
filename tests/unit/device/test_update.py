"""One update from flash alone: fetch, authenticate, commit, with images made by imgtool."""

# SPDX-License-Identifier: MIT
import hashlib

from ota import native
from ota.slot import IMAGE, PATCH
from ota.update import Update

from fakes import BUF, SLOT, Board, Source, code_of, hex_of, image, notice, trust
from ramflash import SECTOR, Cut

E_MAGIC, E_HEADER, E_SIZE, E_TLV, E_HASH, E_KEY, E_SIGNATURE, E_PRODUCT, E_COUNTER = range(1001, 1010)
E_PATCH_MAGIC, E_PATCH_STATE, E_PATCH_BASE = 1070, 1072, 1073
E_RANGE, E_LENGTH, E_STALL, E_DIGEST, E_VERSION, E_FLASH = 1041, 1042, 1043, 1050, 1051, 1060


def nothing(done, total):
    pass


class Bench:
    """A board, the artifact on its server, and updates to it."""

    def __init__(self, name="new", data=None, version="1.1.0", board=None, **changes):
        served = image(name) if data is None else data
        changes.setdefault("sign", hex_of(hashlib.sha256(served).digest()))
        changes.setdefault("size", len(served))
        self.board = board or Board()
        self.notice = notice(name, version, **changes)
        self.source = Source(served)
        self.served = served

    def update(self, progress=nothing):
        active, inactive = self.board.both()
        return Update(self.notice, self.source, active, inactive, trust(), inactive.buf, self.board.patch_state, progress)

    def run(self):
        for _ in self.update().steps():
            pass

    def code(self):
        return code_of(self.run)

    @property
    def slot(self):
        return self.board.slot(1)

    def is_done(self):
        slot = self.slot
        return slot.complete and slot.sequence == 2 and self.board.chip.get(SLOT, len(self.served)) == self.served


def changed(data, at, bit=0):
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def refused(data):
    """The code for an image whose announced digest is right."""
    bench = Bench(data=data)
    code = bench.code()
    assert not bench.slot.complete
    return code


def test_image_is_fetched_authenticated_and_committed():
    bench = Bench()
    done = []
    for _ in bench.update(lambda n, total: done.append((n, total))).steps():
        pass
    assert bench.is_done() and bench.slot.counter == 6 and not bench.slot.confirmed
    assert bench.source.opened == [0] and bench.source.closed == 1
    size = len(bench.served)
    assert done == [(min(n, size), size) for n in range(BUF, size + BUF, BUF)]


def test_digest_of_md5_is_computed_from_flash_too():
    bench = Bench(signMethod="Md5", sign=hex_of(hashlib.md5(image("new")).digest()))
    bench.run()
    assert bench.is_done()


def test_image_is_read_from_flash_once_to_be_hashed_and_verified():
    bench = Bench()
    update = bench.update()
    read, offsets = update._inactive.read_part, []
    update._inactive.read_part = lambda offset: (offsets.append(offset), read(offset))
    for _ in update.steps():
        pass
    assert bench.is_done() and offsets == list(range(SLOT, SLOT + len(bench.served), BUF))


def test_each_step_reads_at_most_once_and_erases_at_most_two_sectors():
    bench = Bench()
    reads = [0]
    readinto = bench.source.readinto

    def counted(buf, n):
        reads[0] += 1
        assert n <= BUF
        return readinto(buf, n)

    bench.source.readinto = counted
    chip = bench.board.chip
    before, erased = 0, sum(chip.erased)
    for _ in bench.update().steps():
        assert reads[0] <= before + 1 and sum(chip.erased) <= erased + 2
        before, erased = reads[0], sum(chip.erased)
    assert bench.is_done()


def test_dropped_connection_resumes_at_the_last_mark():
    bench = Bench()
    bench.source.drops = [2 * SECTOR + 100, SECTOR - 1, 0]
    bench.run()
    assert bench.is_done()
    assert bench.source.opened == [0, 2 * SECTOR, 2 * SECTOR, 2 * SECTOR]
    assert bench.source.closed == 4


def test_errors_of_sockets_and_of_tls_are_lost_connections():
    for errno in (104, 110, 113, -29312, -2):
        bench = Bench()
        bench.source.error = errno
        assert bench.code() == E_STALL, errno
        assert len(bench.source.opened) == 9 == bench.source.closed
        assert bench.slot.holds(IMAGE, len(bench.served), bench.notice.digest)


def test_refusal_of_the_server_is_not_tried_again():
    bench = Bench()
    bench.source.error = 1040
    assert bench.code() == 1040
    assert bench.source.opened == [0] and bench.source.closed == 1


def test_server_that_always_drops_is_given_up():
    bench = Bench()
    bench.source.drops = [100] * 20
    assert bench.code() == E_STALL
    assert len(bench.source.opened) == 9


def test_restarted_board_resumes_at_the_last_mark():
    first = Bench()
    steps = first.update().steps()
    for _ in steps:
        if first.slot.progress == 3 * SECTOR:
            break
    steps.close()
    assert first.source.closed == 1
    again = Bench(board=first.board)
    assert again.update().resumes
    again.run()
    assert again.is_done() and again.source.opened == [3 * SECTOR]


def test_mark_that_a_fetch_resumes_at_is_written_once_more():
    bench = Bench()
    for _ in bench.update().steps():
        if bench.slot.progress == 3 * SECTOR:
            break
    next(bench.update().steps())
    marks = bench.board.chip.get(2 * SLOT - SECTOR, 6 * 16)
    assert [marks[i] for i in range(0, 96, 16)] == [ord(kind) for kind in "SSPPPP"]
    bench.board.chip.put(2 * SLOT - SECTOR + 4 * 16, bytes(16))  # as a torn one may read tomorrow
    assert bench.slot.progress == 3 * SECTOR


def test_all_in_flash_already_is_not_fetched_again():
    first = Bench()
    for _ in first.update().steps():
        if first.slot.progress == len(first.served):
            break
    again = Bench(board=first.board)
    again.run()
    assert again.is_done() and again.source.opened == []


def test_another_artifact_starts_over():
    first = Bench()
    for _ in first.update().steps():
        if first.slot.progress == 3 * SECTOR:
            break
    again = Bench(board=first.board, data=changed(image("new"), 5000))
    assert not again.update().resumes
    assert again.code() == E_HASH
    assert again.source.opened == [0]


def test_complete_or_rejected_slot_is_never_resumed():
    bench = Bench()
    bench.run()
    assert bench.slot.complete and not bench.update().resumes
    bench = Bench()
    for _ in bench.update().steps():
        if bench.slot.progress:
            break
    assert bench.update().resumes
    bench.slot.reject(1005)
    assert not bench.update().resumes


def test_artifact_replaced_on_the_server_starts_over():
    bench = Bench()
    bench.source.drops = [2 * SECTOR]
    opened = bench.source.open

    def once(offset):
        bench.source.replaced = int(offset > 0 and len(bench.source.opened) == 1)
        return opened(offset)

    bench.source.open = once
    bench.run()
    assert bench.is_done() and bench.source.opened == [0, 2 * SECTOR, 0]


def test_artifact_replaced_again_and_again_is_given_up():
    bench = Bench()
    bench.source.replaced = 100
    assert bench.code() == E_RANGE
    assert bench.source.opened == [0, 0, 0]


def test_wrong_digest_is_refused():
    bench = Bench(sign="00" * 32)
    assert bench.code() == E_DIGEST
    assert bench.source.opened == [0] and not bench.slot.complete


def test_wrong_digest_after_a_resume_starts_over_once():
    for good_at_last in (True, False):
        bench = Bench()
        for _ in bench.update().steps():
            if bench.slot.progress == 3 * SECTOR:
                break
        bench.board.chip.put(SLOT + 100, bytes(4))  # not what the marks say
        bench = Bench(board=bench.board)
        if not good_at_last:
            bench.source.data = changed(bench.served, len(bench.served) - 1)
        code = bench.code()
        assert bench.source.opened == [3 * SECTOR, 0]
        assert (code, bench.is_done()) == ((0, True) if good_at_last else (E_DIGEST, False))


def test_body_longer_than_announced_is_refused():
    bench = Bench()
    bench.source.data = bench.served + b"x"
    assert bench.code() == E_LENGTH and not bench.slot.complete


def test_body_shorter_than_announced_is_a_lost_connection():
    bench = Bench()
    bench.source.data = bench.served[:-1]
    assert bench.code() == E_STALL and not bench.slot.complete


def test_one_bit_changed_anywhere_is_refused_though_the_digest_is_right():
    data = image("new")
    payload_end = 32 + 21000
    for at in (0, 3, 8, 12, 16, 20, 32, 5000, payload_end - 1):
        assert refused(changed(data, at)) in (E_MAGIC, E_HEADER, E_SIZE, E_TLV, E_HASH), at
    for at in range(payload_end, len(data), 7):
        assert E_MAGIC < refused(changed(data, at, at % 8)) <= E_COUNTER, at


def test_html_page_is_no_image():
    assert refused(b"<html><body>404</body></html>" * 20) == E_MAGIC


def test_image_cut_short_or_followed_by_bytes_is_refused():
    assert refused(image("new")[:-1]) == E_SIZE
    assert refused(image("new")[:20]) == E_SIZE
    assert refused(image("new") + b"\xff") == E_SIZE


def test_image_by_an_unknown_key_is_refused():
    assert Bench("foreign").code() == E_KEY


def test_image_for_another_product_is_refused():
    assert Bench("other_product").code() == E_PRODUCT


def test_image_with_a_lower_security_counter_is_refused():
    assert Bench("low_counter").code() == E_COUNTER


def test_image_of_another_version_than_announced_is_refused():
    assert Bench(version="1.2.0").code() == E_VERSION
    assert Bench(version="1.1.0+1").code() == E_VERSION
    assert Bench(version="app-1.1").code() == 0


def test_patch_announced_as_image_and_image_announced_as_patch_are_refused():
    assert Bench("patch").code() == E_HEADER
    bench = Bench(isDiff=1)
    assert bench.code() == E_HEADER
    assert bench.slot.holds(PATCH, len(bench.served), bench.notice.digest)


def patched(name="patch", **changes):
    return Bench(name, isDiff=1, **changes)


def is_installed(bench):
    new = image("new")
    return bench.slot.complete and bench.slot.counter == 6 and bench.board.chip.get(SLOT, len(new)) == new


def test_patch_is_fetched_authenticated_installed_and_verified():
    bench = patched()
    done = []
    for _ in bench.update(lambda n, total: done.append(n / total)).steps():
        pass
    assert is_installed(bench) and done == sorted(done) and done[-1] == 1
    assert bench.source.opened == [0]


def test_patch_of_another_base_is_refused_before_a_sector_is_written():
    bench = patched("patch_of_another")
    before = bench.board.chip.get(SLOT, 8 * SECTOR)
    assert bench.code() == E_PATCH_BASE
    assert bench.board.chip.get(SLOT, 8 * SECTOR) == before and not bench.slot.complete


def test_patch_of_a_base_that_has_rotted_is_refused():
    for at in (0, 100, len(image("running")) - 1):
        bench = patched()
        bench.board.chip.put(at, bytes(1))
        assert bench.code() == E_PATCH_BASE, at


def test_patch_whose_decoder_has_no_room_is_refused():
    bench = patched()
    kept, native.patch_state = native.patch_state, no_memory
    try:
        assert bench.code() == E_PATCH_STATE and not bench.slot.complete
    finally:
        native.patch_state = kept


def no_memory(state_bytes):
    raise MemoryError


def test_signed_bytes_that_are_no_patch_are_refused():
    assert patched("no_patch").code() == E_PATCH_MAGIC


def test_patch_changed_in_one_bit_is_refused_before_it_is_decoded():
    data = image("patch")
    for at in (33, 100, len(data) - 300):
        bench = patched(data=changed(data, at))
        assert E_MAGIC <= bench.code() <= E_COUNTER
        assert sum(bench.board.chip.erased[16:24]) == 0, at


def test_patch_cut_at_every_flash_operation_ends_in_the_same_image():
    whole = patched()
    begun = whole.board.chip.operations
    whole.run()
    for k in range(1, whole.board.chip.operations - begun + 1):
        bench = patched()
        chip = bench.board.chip
        chip.power()
        chip.cut_at = k
        try:
            bench.run()
            assert False, "no cut"
        except Cut:
            chip.power()
        if not bench.slot.complete:
            bench = patched(board=bench.board)
            bench.run()
        assert is_installed(bench), k


def stopped_install():
    """A patch of whose result three whole sectors are marked and a part of the fourth is written."""
    bench = patched()
    steps = bench.update().steps()
    for _ in steps:
        if bench.board.chip.erased[16 + 3]:
            break
    steps.close()
    assert bench.slot.installed == 3 * SECTOR
    return patched(board=bench.board)


def test_resumed_install_compares_what_is_marked_and_writes_the_rest_again():
    """A sector without a mark that reads right may not do so tomorrow."""
    bench = stopped_install()
    programmed = bench.board.chip.get(SLOT, 3 * SECTOR)
    bench.run()
    assert is_installed(bench) and bench.source.opened == []
    assert bench.board.chip.get(SLOT, 3 * SECTOR) == programmed == image("new")[: 3 * SECTOR]
    assert bench.board.chip.erased[16 : 16 + 6] == [1, 1, 1, 2, 1, 1]


def test_installed_sector_that_has_rotted_is_written_again():
    for at in (0, 3 * SECTOR - 1):
        bench = stopped_install()
        bench.board.chip.put(SLOT + at, bytes([image("new")[at] ^ 1]))
        bench.run()
        assert is_installed(bench) and bench.source.opened == []


def test_marks_vouch_for_nothing_once_the_comparison_has_failed():
    bench = stopped_install()
    chip = bench.board.chip
    chip.put(SLOT, bytes([image("new")[0] ^ 1]))
    steps = bench.update().steps()
    for _ in steps:
        if chip.erased[16 + 1] == 2:
            break
    steps.close()
    assert bench.slot.installed == SECTOR and bench.slot.progress == bench.notice.size + SECTOR
    again = patched(board=bench.board)
    again.run()
    assert is_installed(again) and again.source.opened == [] and chip.erased[16 + 1] == 3


def test_trailer_whose_erase_leaves_a_mark_takes_no_artifact():
    bench = Bench()
    erase, mark = bench.board.chip.flash_erase, bytearray(16)

    def worn(sector):
        erase(sector)
        bench.board.chip.put(bench.slot.trailer, mark)

    bench.board.chip.flash_erase = worn
    for kind, number in ((b"X", 1090), (b"T", 0), (b"R", 0), (b"P", 4096)):
        native.mark(mark, kind[0], 1, number, bytes(6))
        assert bench.code() == E_FLASH, kind
    mark[:] = b"\xff" * 16
    bench.run()


def test_flash_that_fails_under_the_decoder_is_told_as_such():
    for window_or_input in (112, 128):
        bench = patched()
        bench.board.chip.unreadable = window_or_input
        assert bench.code() == E_FLASH, window_or_input
        assert not bench.slot.complete and bench.board.chip.erased[16] == 0


def test_finished_install_is_compared_to_its_last_byte():
    bench = patched()
    steps = bench.update().steps()
    for _ in steps:
        if bench.slot.installed == len(image("new")):
            break
    steps.close()
    erased = sum(bench.board.chip.erased)
    again = patched(board=bench.board)
    again.run()
    assert is_installed(again) and sum(bench.board.chip.erased) == erased


def test_running_slot_is_never_written():
    bench = Bench()
    before = bench.board.chip.get(0, SLOT)
    bench.run()
    assert bench.board.chip.get(0, SLOT) == before


def test_failed_flash_is_told_as_such():
    bench = Bench()
    update = bench.update()
    steps = update.steps()
    next(steps)
    bench.board.chip.broken = True

    def rest():
        for _ in steps:
            pass

    assert code_of(rest) == E_FLASH
    bench.board.chip.broken = False
    assert len(bench.source.opened) == 1 and not bench.slot.complete


def test_blocks_are_erased_ahead_as_far_as_the_artifact_needs():
    bench = Bench(board=Board(blocks=True))
    bench.run()
    assert bench.is_done()
    assert bench.board.chip.blocks == 2
    assert bench.board.chip.erased[16:32] == [1] * 8 + [0] * 7 + [1]  # the last is the trailer


def test_resumed_fetch_erases_what_lies_beyond_its_mark_again_and_nothing_before():
    bench = Bench(board=Board(blocks=True))
    steps = bench.update().steps()
    for _ in steps:
        if bench.slot.progress == 2 * SECTOR:
            break
    steps.close()
    before = bench.board.chip.get(SLOT, 2 * SECTOR)
    bench = Bench(board=bench.board)
    bench.run()
    assert bench.is_done() and before == image("new")[: 2 * SECTOR]
    assert bench.board.chip.erased[16:24] == [1, 1, 2, 2, 1, 1, 1, 1]


def test_patch_is_installed_by_blocks_that_leave_the_patch_alone():
    bench = patched(board=Board(blocks=True))
    bench.run()
    assert is_installed(bench)
    assert bench.board.chip.blocks == 2
    assert bench.board.chip.erased[16:32] == [1] * 8 + [0] * 6 + [1, 1]


def test_cut_at_every_flash_operation_ends_in_the_same_image():
    for blocks in (False, True):
        cut_everywhere(blocks)


def cut_everywhere(blocks):
    whole = Bench(board=Board(blocks=blocks))
    begun = whole.board.chip.operations
    whole.run()
    total = whole.board.chip.operations - begun
    assert total > 15
    for k in range(1, total + 1):
        bench = Bench(board=Board(blocks=blocks))
        chip = bench.board.chip
        chip.power()
        chip.cut_at = k
        try:
            bench.run()
            assert False, "no cut"
        except Cut:
            chip.power()
        if not bench.slot.complete:
            bench = Bench(board=bench.board)
            bench.run()
        assert bench.is_done(), k


def test_block_that_holds_the_trailer_is_never_erased_as_one():
    board = Board(blocks=True)
    slot = board.slot(1)
    slot.begin(IMAGE, 15 * SECTOR, b"digest")
    slot.aim(SLOT, slot.trailer)
    for sector in range(15):
        slot.write_part(SLOT + sector * SECTOR, BUF)
    assert board.chip.blocks == 3 and board.chip.erased[16:32] == [1] * 16
    assert board.slot(1).holds(IMAGE, 15 * SECTOR, b"digest")
