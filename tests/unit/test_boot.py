"""The second boot's decision against DESIGN.md's rules written a second time, over random histories of both slots."""

import ctypes as c
import dataclasses
import itertools
import random

import pytest

import otacore
from otacore import Flash, boot, image, mark, trust

SECTOR, SLOT = 4096, 3 * 4096
CONSOLE, CONFIRMED, TRIAL, VERIFIED = range(4)
TRIES = 3


@dataclasses.dataclass
class Case:
    """One slot: its image ("good", "patch", "broken" or none), and what its marks say."""
    image: str | None
    counter: int       # signed
    mark_counter: int  # in the complete marks
    sequence: int = 0
    complete: int = 0
    tried: int = 0
    confirmed: int = 0
    rejected: int = 0

    def bytes(self):
        if self.image is None:
            return b"\xff" * 64
        options = ("--non-bootable",) if self.image == "patch" else ()
        data = bytearray(image(b"payload!" * 50, counter=self.counter, options=options))
        data[100] ^= self.image == "broken"
        return bytes(data)

    def marks(self, shuffled):
        all_marks = [mark("C", 0, self.sequence, self.mark_counter.to_bytes(4, "little") + bytes(2))] * self.complete
        all_marks += [mark("T", i + 1) for i in range(self.tried)]
        all_marks += [mark("Y")] * self.confirmed + [mark("X", 0, 1077)] * self.rejected
        all_marks += [bytes(16)] * shuffled.randrange(3)
        shuffled.shuffle(all_marks)
        return b"".join(all_marks)

    def is_confirmed(self):
        return self.complete > 0 and self.confirmed > 0 and self.rejected == 0

    def verifies(self, floor):
        return self.image == "good" and self.counter >= floor


def expect(cases, suspicious, unloadable=()):
    """(how, slot, trial, {slot: reason it is rejected for})."""
    reasons = {}
    confirmed = [i for i in (0, 1) if cases[i].is_confirmed()]
    newest = max(confirmed, key=lambda i: (cases[i].sequence, -i), default=None)
    floor = cases[newest].mark_counter if newest is not None else 0
    above = cases[newest].sequence if newest is not None else -1
    candidates = [i for i in (0, 1) if cases[i].complete and not cases[i].rejected and not cases[i].confirmed
                  and cases[i].sequence > above]
    for i in sorted(candidates, key=lambda i: (-(cases[i].sequence), i)):
        case = cases[i]
        if case.tried >= TRIES:
            reasons[i] = 1090
        elif case.image != "good":
            reasons[i] = {None: 1001, "patch": 1002, "broken": 1005}[case.image]
        elif case.counter < floor or case.counter != case.mark_counter:
            reasons[i] = 1009
        else:
            return TRIAL, i, case.tried + 1, reasons
    if newest is not None and newest not in unloadable and (cases[newest].verifies(floor) if suspicious else cases[newest].image in ("good", "broken")):
        return CONFIRMED, newest, 0, reasons
    for i in sorted((0, 1), key=lambda i: (not cases[i].is_confirmed(), i)):
        if not cases[i].rejected and i not in reasons and i not in unloadable and cases[i].verifies(floor):
            return (CONFIRMED if cases[i].is_confirmed() else VERIFIED), i, 0, reasons
    return CONSOLE, 0, 0, reasons


def random_case(r):
    counter = r.choice((5, 6))
    return Case(image=r.choice(("good", "good", "good", "broken", "patch", None)), counter=counter,
                mark_counter=r.choice((counter, counter, counter, 5, 6)), sequence=r.randrange(1, 4),
                complete=r.choice((0, 1, 2, 2, 2)), tried=r.choice((0, 0, 1, 2, 3)), confirmed=r.choice((0, 0, 0, 1, 2)),
                rejected=r.choice((0, 0, 0, 0, 1, 2)))


def flash_of(cases, r):
    flash = Flash(2 * SLOT)
    for i, case in enumerate(cases):
        flash.put(i * SLOT, case.bytes())
        flash.put((i + 1) * SLOT - SECTOR, case.marks(r))
    return flash


def read_trailer(flash, slot):
    trailer = otacore.Trailer()
    assert otacore.lib().ota_trailer_read(otacore.c.byref(trailer), otacore.c.byref(flash.io), (slot + 1) * SLOT) == 0
    return trailer


def check(cases, suspicious, r, unloadable=()):
    flash = flash_of(cases, r)
    how, slot, trial, reasons = expect(cases, suspicious, unloadable)
    code, choice = boot(flash, ((0, SLOT), (SLOT, SLOT)), suspicious=suspicious, unloadable=sum(1 << i for i in unloadable))
    assert (code, choice.how, choice.trial, flash.chip.misuses, flash.chip.erases) == (0, how, trial, 0, 0)
    if how != CONSOLE:
        assert (choice.slot, choice.offset, choice.payload_size) == (slot, slot * SLOT + 32, 400)
    for i, case in enumerate(cases):
        after = read_trailer(flash, i)
        assert after.tried == (trial if how == TRIAL and i == slot else case.tried)
        assert after.complete == min(2 * case.complete, 2) and after.confirmed == min(2 * case.confirmed, 2)
        assert after.rejected == (2 if case.rejected or i in reasons else 0)
        if i in reasons:
            assert after.reason == reasons[i]


@pytest.mark.parametrize("seed", range(40))
def test_random_histories_are_decided_by_the_rules(seed):
    r = random.Random(seed)
    for _ in range(50):
        check((random_case(r), random_case(r)), r.random() < 0.3, r, r.choice(((), (), (0,), (1,), (0, 1))))


def test_random_histories_meet_every_outcome():
    """What the test above is worth."""
    met, reasons = set(), set()
    for seed in range(40):
        r = random.Random(seed)
        for _ in range(200):
            outcome = expect((random_case(r), random_case(r)), r.random() < 0.3)
            met.add(outcome[:2])
            reasons |= set(outcome[3].values())
    assert {how for how, _ in met} == {CONSOLE, CONFIRMED, TRIAL, VERIFIED}
    assert all((how, slot) in met for how in (CONFIRMED, TRIAL, VERIFIED) for slot in (0, 1))
    assert reasons == {1001, 1002, 1005, 1009, 1090}


@pytest.mark.parametrize("seed", range(10))
def test_a_decision_repeated_until_it_settles_changes_nothing_any_more(seed):
    """The history of a device that nobody confirms: trials, rejections, then the same decision for ever."""
    r = random.Random(seed)
    for _ in range(10):
        flash = flash_of((random_case(r), random_case(r)), r)
        slots = ((0, SLOT), (SLOT, SLOT))
        for _ in range(2 * TRIES + 2):
            boot(flash, slots)
        before = flash.get(0, 2 * SLOT)
        first = boot(flash, slots)[1]
        second = boot(flash, slots)[1]
        assert (first.how, first.slot) == (second.how, second.slot) and first.how != TRIAL
        assert flash.get(0, 2 * SLOT) == before


def misreads(flash, spoilt, fails):
    """From now on flash reads wrong once, or not at all: the read numbered `spoilt`."""
    kind = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_uint32, c.c_void_p, c.c_uint32)
    read, count = kind(flash.io.read), itertools.count()

    def spoil(ctx, offset, buf, n):
        r, hit = read(ctx, offset, buf, n), next(count) == spoilt
        if hit and not fails:
            c.cast(buf, c.POINTER(c.c_uint8))[n // 2] ^= 1
        return -1 if hit and fails else r

    flash.spoil = kind(spoil)  # kept as long as the flash
    flash.io.read = c.cast(flash.spoil, c.c_void_p)
    return count


@pytest.mark.parametrize("fails", [False, True])
def test_flash_that_reads_wrong_once_takes_no_image_its_trial(fails):
    old, new = Case("good", 5, 5, 1, 2, 0, 2, 0), Case("good", 6, 6, 2, 2)
    slots, spoilt = ((0, SLOT), (SLOT, SLOT)), 0
    while True:
        flash = flash_of((old, new), random.Random(1))
        count = misreads(flash, spoilt, fails)
        boot(flash, slots)
        choice = boot(flash, slots)[1]
        assert (choice.how, choice.slot) == (TRIAL, 1), spoilt
        if next(count) <= spoilt:
            break
        spoilt += 1
    assert spoilt > 20


def test_min_counter_of_the_configuration_is_ignored():
    flash = Flash(2 * SLOT)
    flash.put(0, image(counter=5))
    assert boot(flash, ((0, SLOT), (SLOT, SLOT)), who=trust(min_counter=99))[1].how == VERIFIED


def test_slots_of_different_sizes_and_places_are_read():
    flash = Flash(8 * SLOT)
    flash.put(3 * SECTOR, image(counter=5))
    flash.put(20 * SECTOR - SECTOR, mark("C", 0, 1, b"\5\0\0\0\0\0") * 2)
    choice = boot(flash, ((21 * SECTOR, 2 * SECTOR), (3 * SECTOR, 17 * SECTOR)))[1]
    assert (choice.how, choice.slot, choice.offset) == (TRIAL, 1, 3 * SECTOR + 32)
