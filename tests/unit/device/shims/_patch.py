"""The patch decoder of `_ota` on CPython: what ota/module/modota_patch.c binds."""
# SPDX-License-Identifier: MIT

import ctypes as c
import functools

from mpota.patch import build

E_FLASH, E_PATCH_SIZE = -1060, 1075
MORE, BASE, FULL = 1, 2, 3
STATE_MIN, WINDOW = 2048, 112
READ = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_uint32, c.c_void_p, c.c_uint32)


class Info(c.Structure):
    _fields_ = [("kind", c.c_uint8 * 4), ("state_bytes", c.c_uint32), ("old_size", c.c_uint32), ("new_size", c.c_uint32),
                ("base", c.c_uint32), ("window", c.c_uint32 * 6), ("old_sha256", c.c_uint8 * 32), ("new_sha256", c.c_uint8 * 32)]


class Io(c.Structure):
    _fields_ = [("ctx", c.c_void_p), ("read_old", READ), ("read_new", READ)]


class Span(c.Structure):
    _fields_ = [("input", c.c_void_p), ("in_n", c.c_uint32), ("out", c.c_void_p), ("out_n", c.c_uint32)]


class Call(c.Structure):
    """What stands before the decoder in the caller's state."""

    _fields_ = [("at", c.c_uint32), ("left", c.c_uint32), ("ended", c.c_uint32), ("made", c.c_uint32), ("decoder_bytes", c.c_uint32)]


@functools.cache
def lib():
    core = c.CDLL(str(build.libraries()[1]))
    core.ota_patch_get_info.restype = c.POINTER(Info)
    return core


def checked(r):
    if r < 0:
        raise OSError(-r, "")
    return r


def memory(buf, size):
    if len(buf) < size:
        raise ValueError("buffer")
    return c.addressof((c.c_char * len(buf)).from_buffer(buf))


def parts(state):
    at = memory(state, c.sizeof(Call) + STATE_MIN)
    return Call.from_address(at), c.c_void_p(at + c.sizeof(Call))


def more(call, next_input, size):
    n = next_input()
    if not 0 <= n <= size:
        raise ValueError("length")
    call.at, call.left, call.ended = 0, n, n == 0
    return n > 0


class Images:
    """Both images behind read(offset, buf), which takes whole words; of the new one the end is in `out`. Keeps what read raised."""

    def __init__(self, read, old, new, window, out, made):
        self.read, self.old, self.new, self.window, self.out, self.made, self.raised = read, old, new, window, out, made, None
        memory(window, WINDOW)
        memory(out, WINDOW)
        self.io = Io(None, READ(self.read_old), READ(self.read_new))

    def fill(self, offset):
        try:
            self.read(offset, self.window)
        except Exception as e:
            self.raised = e
        return self.window if self.raised is None else None

    def read_old(self, _ctx, offset, buf, n):
        if n > WINDOW or self.fill(self.old + offset) is None:
            return E_FLASH
        c.memmove(buf, bytes(self.window[:n]), n)
        return 0

    def read_new(self, _ctx, offset, buf, n):
        written = min(n, max(0, self.made - offset))
        start = min(offset, self.made - WINDOW)
        if n > WINDOW or (written and self.fill(self.new + start) is None):
            return E_FLASH
        at, rest = offset - start, offset + written - self.made
        c.memmove(buf, bytes(self.window[at : at + written]) + bytes(self.out[rest : rest + n - written]), n)
        return 0

    def checked(self, r):
        if self.raised:
            raise self.raised
        return checked(r)


def patch_state(n):
    return c.sizeof(Call) + n


def patch_begin(state, next_input, source):
    call, decoder = parts(state)
    call.decoder_bytes = call.made = 0
    checked(lib().ota_patch_init(decoder, len(state) - c.sizeof(Call)))
    r = MORE
    while r != BASE:
        if not more(call, next_input, len(source)):
            raise OSError(E_PATCH_SIZE, "")
        x = Span(memory(source, 1), call.left, None, 0)
        r = checked(lib().ota_patch_push(decoder, None, c.byref(x)))
        call.at, call.left = call.left - x.in_n, x.in_n
    call.decoder_bytes = len(state) - c.sizeof(Call)
    info = lib().ota_patch_get_info(decoder).contents
    return info.old_size, info.new_size, bytes(info.old_sha256), bytes(info.new_sha256)


def patch_step(state, read, old, new, window, next_input, source, out):
    call, decoder = parts(state)
    if call.decoder_bytes != len(state) - c.sizeof(Call) or call.at + call.left > len(source):
        raise ValueError("state")
    images = Images(read, old, new, window, out, call.made)
    start = memory(source, 1)
    x = Span(start + call.at, call.left, memory(out, 1), len(out))
    call.decoder_bytes = 0
    while True:
        step = lib().ota_patch_finish if call.ended else lib().ota_patch_push
        r = images.checked(step(decoder, c.byref(images.io), c.byref(x)))
        call.at, call.left = x.input - start, x.in_n
        if r == FULL or (call.ended and r == 0):
            call.made += len(out) - x.out_n
            call.decoder_bytes = len(state) - c.sizeof(Call)
            return len(out) - x.out_n
        if r == MORE:
            more(call, next_input, len(source))
            x.input, x.in_n = start, call.left
