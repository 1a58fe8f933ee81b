"""One update: fetch, authenticate, verify, commit (DESIGN.md, "An update is seven steps").

`steps()` is a generator: every `next` does one bounded piece of work, at most one network read and one buffer
written. It ends when the image is committed; a refusal is OSError(code). All that must survive a cut is in the
slot's trailer.
"""

# SPDX-License-Identifier: MIT
import gc
import time

from micropython import const

from ota import message, native
from ota.slot import IMAGE, PATCH

_RETRIES = const(8)
_RETRY_MS = const(250)
_RESTARTS = const(2)
_FLAG_PATCH = const(0x10)
_E_FIRST_REFUSAL = const(1000)
_E_SIZE = const(1003)
_E_RANGE = const(1041)
_E_LENGTH = const(1042)
_E_STALL = const(1043)
_E_DIGEST = const(1050)
_E_VERSION = const(1051)
_E_HEADER = const(1002)


class Update:
    """notice: the checked notification. source: what is downloaded; it gives whole sixteens of bytes but at the end. active,
    inactive: Slots. trust: see native. buf: the slots' scratch buffer; nothing stands in it between two steps. patch_state: bytes of
    memory for the patch decoder. progress(done, total): called as bytes are fetched and, of a patch, installed."""

    def __init__(self, notice, source, active, inactive, trust, buf, patch_state, progress):
        self.notice = notice
        self._source = source
        self._active = active
        self._inactive = inactive
        self._trust = trust
        self._buf = buf
        self._patch_state = patch_state
        self._progress = progress
        self._type = PATCH if notice.patch else IMAGE

    @property
    def resumes(self):
        """True if a part of this very artifact is in flash already."""
        return self._begun and self._inactive.progress > 0

    @property
    def _begun(self):
        notice = self.notice
        slot = self._inactive
        return slot.resumable() and slot.holds(self._type, notice.size, notice.digest)

    def steps(self):
        notice = self.notice
        slot = self._inactive
        resumed = self.resumes
        if resumed:
            slot.resume()
        elif not self._begun:  # what never got a byte need not wear the trailer again
            slot.begin(self._type, notice.size, notice.digest)
        try:
            yield from self._fetch()
            if not resumed:
                self._source = None  # its memory is wanted
            yield from self._authenticate()
        except OSError as e:
            # What lay in flash was not what its marks said: once more, from nothing.
            if not (resumed and e.errno in (_E_DIGEST, _E_LENGTH)):
                raise
            slot.begin(self._type, notice.size, notice.digest)
            yield from self._fetch()
            yield from self._authenticate()
        self._source = None
        gc.collect()
        if self._type == PATCH:
            yield from self._install()
        yield
        slot.commit(max(self._active.sequence, slot.sequence) + 1, self._info[1])

    def _fetch(self):
        """Streams the artifact into the slot from the last progress mark on."""
        source = self._source
        size = self.notice.size
        failures = restarts = 0
        while self._inactive.progress < size:
            before = self._inactive.progress
            try:
                if not source.open(before):
                    restarts += 1
                    if restarts > _RESTARTS:
                        raise OSError(_E_RANGE)
                    self._inactive.begin(self._type, size, self.notice.digest)
                    continue
                yield from self._stream(before)
                return
            except OSError as e:
                if (e.errno or _E_FIRST_REFUSAL) >= _E_FIRST_REFUSAL:  # None: there was no memory for it
                    raise
                failures = 1 if self._inactive.progress > before else failures + 1
                if failures > _RETRIES:
                    raise OSError(_E_STALL)
            finally:
                source.close()
            yield from self._pause(_RETRY_MS * failures)

    def _stream(self, done):
        size = self.notice.size
        slot = self._inactive
        base = slot.artifact_offset()
        slot.aim(base + done, slot.trailer)
        while done < size:
            n = self._source.readinto(self._buf, min(size - done, len(self._buf)))
            if n:
                slot.write_part(base + done, n)
                done += n
                slot.step(done)
                self._progress(done, size * 2 if self._type == PATCH else size)
            yield
        if not self._source.ended():
            raise OSError(_E_LENGTH)

    def _pause(self, ms):
        end = time.ticks_add(time.ticks_ms(), ms)
        while time.ticks_diff(end, time.ticks_ms()) > 0:
            yield

    def _authenticate(self):
        """The digest from flash, then everything the artifact's own header, TLVs and signature say. Of an image that is
        step 5, verify, too: they are the same bytes."""
        gc.collect()  # what is found out here stays: not amid the garbage, or it splits the room that the decoder needs
        notice = self.notice
        offset = self._inactive.artifact_offset()
        state, fault = yield from self._read(offset, notice.size)
        digest = None if fault or notice.method == "MD5" else native.image_digest(state)
        if not digest:  # and a wrong one is told before what is wrong with the image
            digest = yield from self._digest(offset, notice.size)
        if digest != notice.digest:
            raise OSError(_E_DIGEST)
        self._check(state, fault, self._type == PATCH)

    def _install(self):
        """Decodes the patch, then verifies the image that it made."""
        from ota.install import Install

        slot = self._inactive
        header_size, payload_size = self._info[3:5]
        patch = (slot.artifact_offset() + header_size, payload_size)
        install = Install(self._active, slot, patch, self._buf, self._patch_state, self._installed)
        size = yield from install.steps()
        if not size:
            slot.begin(PATCH, self.notice.size, self.notice.digest)
            slot.step(self.notice.size)
            size = yield from install.steps()
        del install  # its memory is wanted
        state, fault = yield from self._read(slot.offset, size)
        self._check(state, fault, False)

    def _installed(self, done, total):
        self._progress(total + done, total * 2)

    def _read(self, base, size):
        """Reads an image in flash. Returns the reader's state and its refusal."""
        state = bytearray(native.IMAGE_STATE)
        native.image_init(state, self._inactive.room)
        fault = None
        for offset in range(0, size, len(self._buf)):
            self._inactive.read_part(base + offset)
            if not fault:
                fault = self._push(state, min(size - offset, len(self._buf)))
            yield
        return state, fault

    def _digest(self, base, size):
        """The announced digest, over bytes that the image's reader has not hashed whole."""
        digest = _hash(self.notice.method)
        for offset in range(0, size, len(self._buf)):
            self._inactive.read_part(base + offset)
            digest.update(memoryview(self._buf)[: size - offset])
            yield
        return digest.digest()

    def _push(self, state, n):
        try:
            if native.image_push(state, self._buf, n) != n:
                return OSError(_E_SIZE)
        except OSError as e:
            return e

    def _check(self, state, fault, is_patch):
        if fault:
            raise fault
        keys, vendor_id, class_id = self._trust
        native.image_finish(state, self._buf, keys, vendor_id, class_id, self._active.floor())
        self._info = native.image_info(state)
        version, flags = self._info[0], self._info[2]
        if message.numbers("%d.%d.%d+%d" % version) != message.numbers(self.notice.version):
            raise OSError(_E_VERSION)
        if bool(flags & _FLAG_PATCH) != is_patch:
            raise OSError(_E_HEADER)


def _hash(method):
    if method == "MD5":
        from ota import md5

        return md5.Md5()
    import hashlib

    return hashlib.sha256()
