"""The install step of a patch: from the running image and a patch in flash, the new image (DESIGN.md, "The patch").

`steps()` is a generator: every `next` hashes a part of the base or decodes and writes one of the result; its value is the new
image's bytes. Both images are read in thousands of pieces, by the flash driver itself. After a cut the patch
is decoded from its start again; what lies before the last progress mark is compared, and all behind it written again: a sector that
reads right may hold cells that a cut left half programmed. If the comparison fails, flash has rotted: nothing is kept then, and no mark may
vouch for what is written again.
"""

# SPDX-License-Identifier: MIT
from micropython import const

from ota import native

_INPUT = const(128)
_WINDOW = const(112)
_E_FIRST_REFUSAL = const(1000)  # lower ones are the driver's
_E_FLASH = const(1060)
_E_PATCH_STATE = const(1072)
_E_PATCH_BASE = const(1073)
_E_PATCH_SIZE = const(1075)


class Install:
    """active, inactive: Slots. patch: (offset, size) of the bare patch in flash. buf: the slots' scratch buffer.
    state_bytes: what the decoder may have. progress(done, total): called with bytes of the new image."""

    def __init__(self, active, inactive, patch, buf, state_bytes, progress):
        self._active = active
        self._inactive = inactive
        self._patch = patch
        self._limit = inactive.artifact_offset() - inactive.offset
        self._buf = buf
        self._progress = progress
        self._input = bytearray(_INPUT)
        try:
            self._state = bytearray(native.patch_state(state_bytes))
        except MemoryError:
            raise OSError(_E_PATCH_STATE)  # the server answers that with the image, which needs less
        self._more = self._next  # bound once, not at every step
        self._size = 0

    def steps(self):
        """0 if the comparison failed."""
        try:
            whole = yield from self._make(self._inactive.installed)
        except OSError as e:
            raise OSError(e.errno if (e.errno or _E_FIRST_REFUSAL) >= _E_FIRST_REFUSAL else _E_FLASH)
        return self._size if whole else 0

    def _make(self, kept):
        """Makes the image; its first `kept` bytes are in flash already. Returns False if they are others."""
        self._at, self._left = self._patch
        old_size, self._size, old_hash, _ = native.patch_begin(self._state, self._more, self._input)
        if old_size > self._active.room or self._size > self._limit:
            raise OSError(_E_PATCH_SIZE)
        yield from self._check_base(old_size, old_hash)
        slot = self._inactive
        slot.aim(slot.offset + kept, slot.offset + self._limit)
        window = bytearray(_WINDOW)
        done = 0
        while done < self._size:
            n = native.patch_step(
                self._state, slot.read_raw, self._active.offset, slot.offset, window, self._more, self._input, self._buf
            )
            if not n:
                raise OSError(_E_PATCH_SIZE)
            if done >= kept:
                slot.write_part(slot.offset + done, n)
            elif not self._same(slot.offset + done, n):
                return False
            done += n
            slot.step(done, self._size)
            self._progress(done, self._size)
            yield
        return True

    def _check_base(self, size, expected):
        """The base must be the running image, byte for byte, before the first sector is written."""
        state = bytearray(native.IMAGE_STATE)
        native.image_init(state, size)
        for offset in range(0, size, len(self._buf)):
            self._active.read_part(self._active.offset + offset)
            try:
                native.image_push(state, self._buf, min(size - offset, len(self._buf)))
            except OSError:
                break
            yield
        if native.image_digest(state) != expected:
            raise OSError(_E_PATCH_BASE)

    def _same(self, offset, n):
        """Whether flash holds there what was decoded again."""
        made = memoryview(self._buf)
        found = bytearray(_INPUT)
        for i in range(0, n, _INPUT):
            self._inactive.read_raw(offset + i, found)
            m = min(n - i, _INPUT)
            if made[i : i + m] != memoryview(found)[:m]:
                return False
        return True

    def _next(self):
        """Fills the input buffer from flash; the decoder calls it. Whole words are read, the last of them in part."""
        n = min(self._left, _INPUT)
        if n:
            self._active.read_raw(self._at, self._input)
            self._at += n
            self._left -= n
        return n
