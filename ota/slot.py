"""A slot of flash and its trailer: what it says, and the marks that carry an update through a cut.

Design: "A slot tells its own story". Marks are only ever appended; a trailer is erased only by `begin`, for the inactive slot.
"""

# SPDX-License-Identifier: MIT
from micropython import const

from ota import native

IMAGE = const(0)
PATCH = const(1)

_MARK = const(16)
_STEPS = const(64)
_INSTALL_STEPS = const(32)
_KEPT = const(16)  # places that are never for progress
_ATTEMPTS = const(4)
_MENDS = const(3)
_STARTED = const(0x53)  # "S"
_PROGRESS = const(0x50)  # "P"
_COMPLETE = const(0x43)  # "C"
_CONFIRMED = const(0x59)  # "Y"
_REJECTED = const(0x58)  # "X"
_REPORTED = const(0x52)  # "R"
_NO_TAIL = b"\0\0\0\0\0\0"
_E_FLASH = const(1060)
_E_TRAILER_FULL = const(1061)

# A mark to write, and what it reads back as; not a slot's own, for memory is dear.
_mark = bytearray(_MARK)
_check = bytearray(_MARK)


class Slot:
    """flash: the flash contract. offset, size: bytes, whole sectors. buf: a scratch buffer; a sector is a multiple of it."""

    def __init__(self, flash, offset, size, buf):
        self._flash = flash
        self.offset = offset
        self.size = size
        self.buf = buf
        self.read_raw = flash.read_raw
        self.trailer = offset + size - flash.sector
        self._erased = self._end = 0
        self.load()

    @property
    def room(self):
        """Bytes an artifact may take: all but the trailer."""
        return self.size - self._flash.sector

    def load(self):
        """Reads the trailer from flash."""
        state = bytearray(native.TRAILER_STATE)
        for offset in self._trailer_parts():
            facts = native.trailer(state, self.buf, len(self.buf))
        self._next, self._started, self.artifact_type, self.artifact_size, self._digest, self.progress = facts[:6]
        self._complete, self.sequence, self.counter, self.tried = facts[6:10]
        self._confirmed, self._rejected, self.reason, self._reported = facts[10:]

    @property
    def complete(self):
        return self._complete > 0

    @property
    def rejected(self):
        return self._rejected > 0

    @property
    def confirmed(self):
        return self._confirmed > 0 and self._complete > 0 and not self._rejected

    @property
    def installed(self):
        """How many bytes of the image that the patch makes are in flash."""
        return max(self.progress - self.artifact_size, 0)

    @property
    def unreported(self):
        """True if the slot was rejected and the server has not been told."""
        return self._rejected > 0 and not self._reported

    def holds(self, artifact_type, size, digest):
        """True if this slot was started for this very artifact."""
        return self._started > 0 and self.artifact_type == artifact_type and self.artifact_size == size and self._digest == digest[:6]

    def resumable(self):
        """True if the artifact begun here can go on: it did already, or both *started* are there, of which a cut may leave one that can
        be read today and not tomorrow; and there is room for the marks to come, for every notice that resumes leaves one."""
        begun = not self.complete and not self.rejected and (self.progress > 0 or self._started > 1)
        to_come = _STEPS - min(self.progress, self.artifact_size) * _STEPS // max(self.artifact_size, 1)
        if self.artifact_type == PATCH and not self.installed:
            to_come += _INSTALL_STEPS
        return begun and (self._next + to_come + _KEPT) * _MARK < self._flash.sector

    def artifact_offset(self):
        """Where the artifact lies: an image at the slot's start, a patch just below the trailer."""
        if self.artifact_type == IMAGE:
            return self.offset
        sector = self._flash.sector
        return self.trailer - (self.artifact_size + sector - 1) // sector * sector

    def begin(self, artifact_type, size, digest):
        """Makes the slot ready for a new artifact: forgets the old one for good, then marks *started*."""
        self._started = self.progress = 0  # of an erase that fails half-way nothing is resumed
        self._forget()
        self._flash.erase(self.trailer, self._flash.sector)
        self.load()
        if self._rejected or self._reported or self.tried or self.progress:  # worn: they would speak of the new artifact
            raise OSError(_E_FLASH)
        self._append(_STARTED, artifact_type, size, digest[:6], 2)
        self.load()

    def step(self, written, image=0):
        """Marks progress: the first `written` bytes of the artifact are in flash, or of the `image` bytes that a patch makes. Only
        whole sectors count, or all."""
        before = self.artifact_size if image else 0
        size = image or self.artifact_size
        steps = _INSTALL_STEPS if image else _STEPS
        if written % self._flash.sector and written < size:
            return
        step = written * steps // size
        if step > (self.progress - before) * steps // size:
            self._mark_progress(step, before + written)

    def resume(self):
        """Marks the progress that was found once more: a cut may have left that mark so that it can be read today and not tomorrow."""
        self._mark_progress(0, self.progress)

    def _mark_progress(self, step, number):
        if (self._next + _KEPT) * _MARK < self._flash.sector:
            self._append(_PROGRESS, step, number, _NO_TAIL, 1)
            self.progress = number

    def commit(self, sequence, counter):
        self._append_complete(sequence, counter, 2)
        self.load()

    def confirm(self):
        self._append(_CONFIRMED, 0, 0, _NO_TAIL, 2)
        self._confirmed = 2

    def reject(self, reason):
        self._append(_REJECTED, 0, reason, _NO_TAIL, 2)
        self._rejected, self.reason = 2, reason

    def report(self):
        """Marks that the server knows of the rejection. If it cannot be marked, it is known until the next reset."""
        self._reported = 1
        self._append(_REPORTED, 0, 0, _NO_TAIL, 1)

    def mend(self):
        """Writes the second copy of a mark of which only one is left (SPEC.md section 2). One copy counts too.

        Read again only after a write: a mark that reads differently every time must not be found now and never mended."""
        for _ in range(_MENDS):
            if not (self._complete == 1 or self._confirmed == 1 or self._rejected == 1):
                return
            try:
                if self._complete == 1:
                    self._append_complete(self.sequence, self.counter, 1)
                if self._confirmed == 1:
                    self._append(_CONFIRMED, 0, 0, _NO_TAIL, 1)
                if self._rejected == 1:
                    self._append(_REJECTED, 0, self.reason, _NO_TAIL, 1)
            except OSError:
                return
            self.load()

    def _append_complete(self, sequence, counter, copies):
        tail = bytes((counter & 255, counter >> 8 & 255, counter >> 16 & 255, counter >> 24, 0, 0))
        self._append(_COMPLETE, 0, sequence, tail, copies)

    def _append(self, kind, arg, number, tail, copies):
        native.mark(_mark, kind, arg, number, tail)
        for _ in range(copies):
            self._append_one()

    def _append_one(self):
        for _ in range(_ATTEMPTS):
            place = self.trailer + self._next * _MARK
            if place >= self.trailer + self._flash.sector:
                raise OSError(_E_TRAILER_FULL)
            self._next += 1
            try:
                self._flash.write(place, _mark, _MARK)
                self._flash.read(place, _check)
            except OSError:
                continue  # a bad place: the next one
            if _check == _mark:
                return
        raise OSError(_E_FLASH)

    def _trailer_parts(self):
        """Reads the trailer part by part into the scratch buffer; yields the offset of each. A place that cannot be read (ECC)
        is no mark, but one that _forget zeroes."""
        for offset in range(self.trailer, self.offset + self.size, len(self.buf)):
            try:
                self._flash.read(offset, self.buf)
            except OSError:
                self._read_places(offset)
            yield offset

    def _read_places(self, offset):
        view = memoryview(self.buf)
        for place in range(0, len(view), _MARK):
            try:
                self._flash.read(offset + place, view[place : place + _MARK])
            except OSError:
                view[place : place + _MARK] = bytes((_COMPLETE,)) * _MARK

    def _forget(self):
        """Zeroes the marks that would give the slot a meaning, so that a half-done erase cannot bring one back."""
        _mark[:] = bytes(_MARK)
        for offset in self._trailer_parts():
            for place in range(0, len(self.buf), _MARK):
                if self.buf[place] in (_COMPLETE, _CONFIRMED, _STARTED):
                    try:
                        self._flash.write(offset + place, _mark, _MARK)
                    except OSError:
                        pass  # the erase that follows is what counts

    def floor(self):
        """The security counter below which nothing may be installed."""
        return self.counter if self.confirmed else 0

    def aim(self, offset, end):
        """Flash will be written in order from offset, a sector's start, on, and all as far as end may be erased. None of it counts as
        erased."""
        self._erased, self._end = offset, end

    def write_part(self, offset, n):
        """Writes the first n bytes of the scratch buffer, and blanks up to a multiple of 16. A sector is erased before its first
        part is written: alone, or with the block that begins there, if all of that may be erased."""
        whole = (n + _MARK - 1) // _MARK * _MARK
        for i in range(n, whole):
            self.buf[i] = 0xFF
        if offset >= self._erased:
            size = self._flash.block
            if offset % size or offset + size > self._end:
                size = self._flash.sector
            self._flash.erase(offset, size)
            self._erased = offset + size
        self._flash.write(offset, self.buf, whole)

    def read_part(self, offset):
        """Fills the scratch buffer."""
        self._flash.read(offset, self.buf)
