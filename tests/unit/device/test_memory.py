"""The loops over an artifact's bytes allocate nothing but at its end: MicroPython runs them with its heap locked."""

# SPDX-License-Identifier: MIT
import micropython

from ota.install import Install
from ota.slot import IMAGE, PATCH
from ota.transport import net
from ota.update import Update

from bench import begun
from fakes import BUF, SLOT, Board, Reset, Source, image, notice, trust
from ramflash import SECTOR
from wires import Wire, no_feed


def nothing(done, total):
    pass


class Begun:
    """An update whose fetch has begun."""

    def __init__(self):
        self.board = Board()
        self.source = Source(image("new"))
        active, self.slot = self.board.both()
        self.update = Update(notice(), self.source, active, self.slot, trust(), self.slot.buf, self.board.patch_state, nothing)
        self.steps = self.update.steps()
        next(self.steps)

    def locked(self, until):
        """Runs steps with the heap locked until `until(self)`; returns how many."""
        count = 0
        micropython.heap_lock()
        try:
            while not until(self):
                next(self.steps)
                count += 1
        finally:
            micropython.heap_unlock()
        return count


def all_whole_sectors(begun):
    return begun.slot.progress >= 5 * SECTOR


def test_fetch_of_whole_sectors_allocates_nothing():
    begun = Begun()
    assert begun.locked(all_whole_sectors) == 5 * 2 - 1
    assert begun.board.chip.get(SLOT, 5 * SECTOR) == image("new")[: 5 * SECTOR]


def test_authentication_of_whole_sectors_allocates_nothing():
    begun = Begun()
    while begun.slot.progress < len(image("new")):
        next(begun.steps)
    next(begun.steps)
    next(begun.steps)
    reads = [0]
    read = begun.slot.read_part

    def counted(offset):
        reads[0] += 1
        read(offset)

    begun.slot.read_part = counted
    begun.locked(lambda one: reads[0] == 3)
    for _ in begun.steps:
        pass
    assert begun.board.slot(1).complete


class Installing:
    """The install of a patch whose base is the running image."""

    def __init__(self):
        self.board = Board()
        active, self.slot = self.board.both()
        data = image("patch")
        self.slot.begin(PATCH, len(data), b"digest")
        at = self.slot.artifact_offset()
        self.board.chip.put(at, data)
        size = int.from_bytes(data[12:16], "little")
        self.done = 0
        self.steps = Install(active, self.slot, (at + 32, size), self.slot.buf, 16384, self.progress).steps()

    def progress(self, done, total):
        self.done = done


def test_install_allocates_nothing_per_sector():
    one = Installing()
    next(one.steps)
    micropython.heap_lock()
    try:
        next(one.steps)  # the base's second sector
    finally:
        micropython.heap_unlock()
    while one.done < SECTOR:
        next(one.steps)
    micropython.heap_lock()
    try:
        while one.done < 5 * SECTOR:
            next(one.steps)
    finally:
        micropython.heap_unlock()
    for _ in one.steps:
        pass
    assert one.board.chip.get(SLOT, len(image("new"))) == image("new")


def test_install_reads_back_what_it_has_written_and_nothing_behind_it():
    """There may be cells there that a cut left, which some flash does not let be read."""
    one = Installing()
    read, ends = one.slot.read_raw, []

    def read_raw(offset, buf):
        if offset >= SLOT:
            ends.append(SLOT + one.done - offset - len(buf))
        read(offset, buf)

    one.slot.read_raw = read_raw
    for _ in one.steps:
        pass
    assert min(ends) == 0


def test_marks_and_parts_are_written_without_allocating():
    board = Board()
    slot = board.slot(1)
    slot.begin(IMAGE, 128 * SECTOR, b"digest")
    micropython.heap_lock()
    try:
        for i in range(1, 9):
            slot.aim(SLOT, SLOT + SECTOR + 100)
            slot.write_part(SLOT, BUF)
            slot.write_part(SLOT + BUF, BUF)
            slot.read_part(SLOT)
            slot.step(i * SECTOR)
    finally:
        micropython.heap_unlock()
    assert board.slot(1).progress == 8 * SECTOR


class Steady(Wire):
    """A peer that always has bytes; allocates nothing."""

    def readinto(self, buf):
        for i in range(len(buf)):
            buf[i] = 7
        return len(buf)


def test_body_is_read_without_allocating():
    sock = net.Socket(Steady(), 1000, no_feed)
    buf = bytearray(512)
    micropython.heap_lock()
    try:
        for _ in range(8):
            sock.readinto(buf)
    finally:
        micropython.heap_unlock()
    assert buf == b"\7" * 512


def test_body_is_read_from_a_real_socket_without_allocating():
    from wires import pair

    one, other = pair()
    sock = net.Socket(one, 1000, no_feed)
    buf = bytearray(512)
    other.write(b"\7" * 4096)
    micropython.heap_lock()
    try:
        for _ in range(8):
            sock.readinto(buf)
    finally:
        micropython.heap_unlock()
    assert buf == b"\7" * 512
    sock.close()
    other.close()


def test_rejection_takes_no_memory():
    bench, refusal = begun(), OSError(1006, "")
    micropython.heap_lock()
    try:
        bench.service._failed(refusal)
    finally:
        micropython.heap_unlock()
    assert bench.slot.rejected


def locked_poll(bench):
    """One poll without any memory; whether the board restarted."""
    restarted = False
    micropython.heap_lock()
    try:
        bench.service.poll()
    except Reset:
        restarted = True
    finally:
        micropython.heap_unlock()
    return restarted


def test_what_a_poll_without_memory_could_not_do_is_made_up_for():
    polls, bench = 0, begun()
    while bench.service.updating:
        for _ in range(polls):
            bench.service.poll()
        if not locked_poll(bench):
            told = bench.transport.losses or bench.service.last_error
            assert bench.service.updating or told, polls
            if not bench.service.updating:
                assert bench.begin() == 0, polls
            assert bench.finish(), polls
        assert bench.slot.complete and not bench.slot.rejected, polls
        polls, bench = polls + 1, begun()
        try:
            for _ in range(polls):
                bench.service.poll()
        except Reset:
            break
        bench = begun()
    assert polls > 20
