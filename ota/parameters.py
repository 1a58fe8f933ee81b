"""The board's parameter area: one short text that outlives restarts, updates and cuts (SPEC.md section 7).

Two sectors hold it, the first is written first. DESIGN.md, "Parameters", tells why nothing else is needed.
"""

# SPDX-License-Identifier: MIT
from micropython import const

_CHECK = const(32)
_HEAD = const(48)
_DONE = const(16)
_E_FLASH = const(1060)
_ENOSPC = const(28)
_UNREADABLE = None, None  # unlike any copy


class Parameters:
    """flash: the board's. offset: of the area, two sectors."""

    def __init__(self, flash, offset):
        self._flash = flash
        self._offset = offset

    def load(self):
        """The text (bytes), or None. What a cut left half done is brought to its end first."""
        copies = self._readable(0), self._readable(1)
        if copies[0] == copies[1] == _UNREADABLE:
            raise OSError(_E_FLASH)
        first, is_done = copies[0]
        keep = 0 if first is not None and (is_done or copies[1][0] is None) else 1
        text = copies[keep][0]
        if text is not None and copies[1 - keep] != (text, True):
            try:
                self._put(1 - keep, text)
            except OSError:
                pass  # one copy is enough to live with
        return text

    def save(self, text):
        """Replaces the text: after a cut it is the old one or the new one, and the new one once this has returned."""
        if len(text) > self._flash.sector - _HEAD - _DONE:
            raise OSError(_ENOSPC)
        if self.load() != text:  # and with that no copy is in doubt
            self._put(0, text)
            self._put(1, text)

    def _readable(self, which):
        """As _copy; what a cut left half programmed may not read at all (ECC), and then the other copy counts."""
        try:
            return self._copy(which)
        except OSError:
            return _UNREADABLE

    def _copy(self, which):
        """(text, whether its end was written too) of a sector; (None, False) if it holds none."""
        base = self._offset + which * self._flash.sector
        head = bytearray(_HEAD)
        self._flash.read(base, head)
        n = head[_CHECK] | head[_CHECK + 1] << 8
        if n > self._flash.sector - _HEAD - _DONE:
            return None, False
        text = bytearray(-(-n // _DONE) * _DONE)
        self._flash.read(base + _HEAD, text)
        text = bytes(text[:n])
        if _check(n, text) != head[:_CHECK]:
            return None, False
        done = bytearray(_DONE)
        self._flash.read(base + self._flash.sector - _DONE, done)
        return text, not any(done)

    def _put(self, which, text):
        base = self._offset + which * self._flash.sector
        n = len(text)
        record = bytearray(b"\xff" * (_HEAD + -(-n // _DONE) * _DONE))
        record[:_CHECK] = _check(n, text)
        record[_CHECK] = n & 255
        record[_CHECK + 1] = n >> 8
        record[_HEAD : _HEAD + n] = text
        self._flash.erase(base, self._flash.sector)
        self._flash.write(base, record, len(record))
        self._flash.write(base + self._flash.sector - _DONE, bytearray(_DONE), _DONE)
        if self._copy(which) != (text, True):
            raise OSError(_E_FLASH)


def _check(n, text):
    import hashlib

    digest = hashlib.sha256(bytes((n & 255, n >> 8)))
    digest.update(text)
    return digest.digest()
