"""What an update's outcome is: pure rules, from (update, what happened) to the update after it.

An update is one artifact meant for one device. `due` is when the device is told of it (again) unless something happens before;
None means never by itself. Every way through here ends: failures, silent pushes and restarts without progress are counted.
"""
# SPDX-License-Identifier: MIT

from dataclasses import dataclass, replace

from mpota import codes
from mpota.image import Version

WAITING, NOTIFIED, RUNNING, UPDATED, FAILED = "waiting", "notified", "running", "updated", "failed"
REPLACED, WITHDRAWN = "replaced", "withdrawn"
HELD = "held"  # until those that are told first run it (Store.release)
OPEN = (WAITING, NOTIFIED, RUNNING)
PENDING = (HELD, *OPEN)
STATES = (*PENDING, UPDATED, FAILED, REPLACED, WITHDRAWN)

MAX_FAILURES = 3
MAX_SILENT = 3  # pushes without any answer, after one inform
MAX_RESTARTS = 20  # informs without progress in between
ANSWER_S = 5
LATER_S = 10  # the first time; longer each time
RETRY_S = 30
LONGEST_S = LATER_S * MAX_RESTARTS  # that any rule puts off
SILENT_S = 600  # whoever is not heard of for so long is away: twice as long as a board takes to observe anew


@dataclass(frozen=True)
class Update:
    """One artifact for one device, and how it went."""

    id: int
    pk: str
    dn: str
    artifact: int
    version: str
    scheme: str
    state: str = WAITING
    step: int = 0
    desc: str = ""
    best: int = -1
    failures: int = 0
    silent: int = 0
    restarts: int = 0
    patches: bool = True  # a patch may be sent in place of the artifact
    sent_patch: bool = False
    due: float | None = 0
    at: float = 0  # when this last changed
    soak: float = 0  # seconds that those told first must have run it for before one that is held is told


def same_version(one, other):
    """Versions are compared as numbers where they are numbers."""
    numbers = Version.parse(one), Version.parse(other)
    return numbers[0] == numbers[1] if None not in numbers else one == other


def replaces(new, old):
    """Whether a device takes `new` in place of `old`, as far as it can be told from here."""
    numbers = Version.parse(new), Version.parse(old)
    return numbers[1] < numbers[0] if None not in numbers else new != old


def informed(update, version, now):
    """The device says which version it runs. What is open and not there yet is due at once."""
    if same_version(version, update.version):
        if update.state == UPDATED:
            return update
        return replace(update, state=UPDATED, step=100, desc="", due=None)
    if update.state == UPDATED:
        return _failed(update, update.step, f"runs {version}")
    if update.state not in OPEN:
        return update
    return _again(update, now)


def _again(update, now):
    if update.restarts >= MAX_RESTARTS:
        return _failed(update, update.step, f"no progress in {MAX_RESTARTS} attempts")
    return replace(update, restarts=update.restarts + 1, silent=0, due=now)


def reported(update, step, desc, now):
    """The device reports progress, or a failure."""
    if update.state == HELD and update.silent:  # it was told and has given its place to another, but was at it
        told = replace(update, state=NOTIFIED)
        after = reported(told, step, desc, now)
        return update if after == told else after
    if step < 0:
        return _failure(update, step, desc, now)
    if update.state not in (NOTIFIED, RUNNING):
        return update  # HELD, WAITING: it has not been told of this one, and means another
    restarts, failures = (update.restarts, update.failures) if step <= update.best else (0, 0)
    return replace(
        update, state=RUNNING, step=step, desc=desc, best=max(step, update.best), silent=0, restarts=restarts, failures=failures, due=None
    )


def _failure(update, step, desc, now):
    code = codes.find(desc)
    if code in codes.WENT_BACK:
        # Told with a connection: before this update's own commit it is the last one's.
        if update.step != 100 and update.state not in (UPDATED, FAILED):
            return update
        if code not in codes.RETRY or update.state not in OPEN:
            return _failed(update, step, desc)
    if update.state not in OPEN:
        return update
    if code in codes.OF_PATCH and not update.sent_patch:
        return update  # of the patch before, told again, or of the update before
    if code in codes.LATER:
        return _not_ready(update, desc, now)
    if update.state == WAITING:
        return replace(update, due=now)  # the one before has failed: the device is free
    failures = update.failures + 1
    if update.sent_patch and (codes.is_final(step, desc) or failures >= MAX_FAILURES):
        return replace(update, state=WAITING, step=step, desc=desc, patches=False, sent_patch=False, best=-1, failures=0, silent=0, due=now)
    if codes.is_final(step, desc) or failures >= MAX_FAILURES:
        return replace(_failed(update, step, desc), failures=failures)
    return replace(update, state=WAITING, step=step, desc=desc, failures=failures, silent=0, due=now + RETRY_S)


def _not_ready(update, desc, now):
    """The device has another update under way, or on trial: what it reports until it is told again is of that."""
    restarts = update.restarts + (update.restarts < MAX_RESTARTS // 2)
    return replace(update, state=WAITING, step=0, desc=desc, restarts=restarts, silent=0, due=now + LATER_S * restarts)


def _failed(update, step, desc):
    return replace(update, state=FAILED, step=step, desc=desc, due=None)


def pushed(update, now, patch=False):
    """The device has been told, of a patch or of the artifact itself. It is told again if it does not answer, a few times."""
    silent = update.silent + 1
    due = now + ANSWER_S if silent < MAX_SILENT else None
    state = NOTIFIED if update.state == WAITING else update.state
    return replace(update, state=state, silent=silent, due=due, sent_patch=patch)


def stand_in(held, silent, now):
    """A held device is there, and one that was told first has not answered (Store.not_answering): they change places. That a held one
    has been told is seen by its `silent`."""
    return replace(held, state=WAITING, silent=0, due=now), replace(silent, state=HELD, due=None)


def listening(update, now):
    """The device listens (again): what it has been told and has not answered is told once more."""
    if update.state not in (NOTIFIED, RUNNING) or not update.silent:
        return update
    return _again(update, now) if update.due is None else replace(update, due=now)


def is_due(update, now):
    """True if the device is to be told now. What is due later than any rule says has been put off by a clock that was wrong."""
    return update.state in OPEN and update.due is not None and not now < update.due <= now + LONGEST_S
