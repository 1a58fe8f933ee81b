"""CoAP messages as bytes (RFC 7252 section 3, SPEC.md section 4): a writer and a reader over buffers that are kept.

Neither allocates per message. The reader believes no length; what it cannot read it calls bad.
"""

# SPDX-License-Identifier: MIT
import time

from micropython import const

CON = const(0)
NON = const(1)
ACK = const(2)
RST = const(3)
TOKEN = const(8)  # bytes of every token of ours

_HEAD = const(4)
_ETAG = const(4)
_OBSERVE = const(6)
_CONTENT_FORMAT = const(12)
_BLOCK2 = const(23)
_SIZE2 = const(28)
_E_LONG = const(1021)
_SEEN = const(8)
_EXCHANGE_LIFETIME_MS = const(247000)


class Writer:
    """Writes one message into `buf`; `n` bytes of it are written. Options come in ascending order."""

    def __init__(self, size):
        self.buf = bytearray(size)
        self.n = 0
        self._number = 0

    def begin(self, kind, code, mid, token_length=0):
        buf = self.buf
        buf[0] = 0x40 | kind << 4 | token_length
        buf[1] = code
        buf[2] = mid >> 8
        buf[3] = mid & 255
        self.n = _HEAD
        self._number = 0

    def bytes(self, data):
        end = self.n + len(data)
        if end > len(self.buf):
            raise OSError(_E_LONG)
        self.buf[self.n : end] = data
        self.n = end

    def option(self, number, value):
        """value: bytes."""
        self._option_head(number, len(value))
        self.bytes(value)

    def options(self, number, parts):
        """One option for each part of a path or query."""
        for part in parts:
            self.option(number, part)

    def uint(self, number, value):
        size = 0 if not value else 1 if value < 0x100 else 2 if value < 0x10000 else 3
        self._option_head(number, size)
        for shift in range(8 * size - 8, -1, -8):
            self._byte(value >> shift & 255)

    def payload(self, data):
        if data:
            self._byte(0xFF)
            self.bytes(data)

    def _option_head(self, number, length):
        delta = number - self._number
        self._number = number
        self._byte(_nibble(delta) << 4 | _nibble(length))
        self._extension(delta)
        self._extension(length)

    def _extension(self, value):
        if value >= 269:
            self._byte(value - 269 >> 8)
            self._byte(value - 269 & 255)
        elif value >= 13:
            self._byte(value - 13)

    def _byte(self, value):
        if self.n >= len(self.buf):
            raise OSError(_E_LONG)
        self.buf[self.n] = value
        self.n += 1


def _nibble(value):
    return 14 if value >= 269 else 13 if value >= 13 else value


class Reader:
    """Reads the message in the first n bytes of `buf`. Absent options are -1, offsets point into buf."""

    def __init__(self, buf):
        self.buf = buf

    def header(self, n):
        """Reads type, code, message id and token. False if the datagram is no CoAP message."""
        buf = self.buf
        if n < _HEAD or buf[0] >> 6 != 1:
            return False
        self.kind = buf[0] >> 4 & 3
        self.token_length = buf[0] & 15
        self.code = buf[1]
        self.mid = buf[2] << 8 | buf[3]
        self.end = n
        return self.token_length <= 8 and _HEAD + self.token_length <= n

    def options(self):
        """Reads options and payload after header(). False if they are malformed or demand what we do not know."""
        self.observe = self.block2 = self.size2 = self.format = -1
        self.etag = self.etag_length = 0
        self.payload = self.end
        buf = self.buf
        number = 0
        self._at = _HEAD + self.token_length
        while self._at < self.end:
            head = buf[self._at]
            self._at += 1
            if head == 0xFF:
                self.payload = self._at
                return self._at < self.end
            delta = self._extended(head >> 4)
            length = self._extended(head & 15)
            if delta < 0 or length < 0 or length > self.end - self._at:
                return False
            number += delta
            if not self._take(number, length):
                return False
            self._at += length
        return self._at == self.end

    def _take(self, number, length):
        """Keeps an option that we know. An unknown one with an odd number is critical (RFC 7252 5.4.1)."""
        if number == _BLOCK2 and length <= 3 and self.block2 < 0:
            self.block2 = self._uint(length)
            return self.block2 & 7 < 7
        if number == _ETAG and 0 < length <= 8:
            self.etag, self.etag_length = self._at, length
        elif number == _OBSERVE and length <= 3:
            self.observe = self._uint(length)
        elif number == _SIZE2 and length <= 4:
            self.size2 = self._uint(length)
        elif number == _CONTENT_FORMAT and length <= 2:
            self.format = self._uint(length)
        else:
            return not number & 1
        return True

    def _extended(self, nibble):
        """The value of an option's delta or length, -1 if it is malformed."""
        if nibble < 13:
            return nibble
        size = nibble - 12
        if size > 2 or size > self.end - self._at:
            return -1
        self._at += size
        return self._uint(size, -size) + (13 if size == 1 else 269)

    def _uint(self, length, start=0):
        value = 0
        for i in range(self._at + start, self._at + start + length):
            value = value << 8 | self.buf[i]
        return value


class Seen:
    """The message ids of the last confirmable messages that were taken, for as long as one may be repeated."""

    def __init__(self):
        self._mids = bytearray(2 * _SEEN)
        self.forget()

    def forget(self):
        self._next = self._count = 0
        self._last_ms = time.ticks_ms()

    def has(self, mid):
        if time.ticks_diff(time.ticks_ms(), self._last_ms) > _EXCHANGE_LIFETIME_MS:
            self.forget()
        for i in range(self._count):
            if (self._mids[2 * i] << 8 | self._mids[2 * i + 1]) == mid:
                return True
        return False

    def add(self, mid):
        i = self._next
        self._mids[2 * i] = mid >> 8
        self._mids[2 * i + 1] = mid & 255
        self._next = (i + 1) % _SEEN
        self._count = max(self._count, i + 1)
        self._last_ms = time.ticks_ms()
