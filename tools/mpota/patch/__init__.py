"""Patches on the host: make one from two images, apply one, say what it is. Formats: SPEC.md, section 3."""

import contextlib
import ctypes
import functools
import hashlib
import signal
import threading

from . import build

ARCHS = ("raw", "xtensa", "thumb", "arm", "x86-64")
ERRORS = {
    1070: "not a patch",
    1071: "patch header is not one this decoder can use",
    1072: "patch needs more decoder state",
    1073: "patch was made for another base",
    1074: "patch stream is damaged",
    1075: "patch is cut short or too long",
    1005: "the result's hash differs",
}
MORE, BASE, FULL = 1, 2, 3
MAX_BYTES = 0x1000000


class PatchError(Exception):
    """A refusal; `code` is one of SPEC.md's error codes."""

    def __init__(self, code):
        super().__init__(ERRORS.get(code, f"error {code}"))
        self.code = code


class _Window(ctypes.Structure):
    _fields_ = [("start", ctypes.c_uint32), ("size", ctypes.c_uint32)]


class _Info(ctypes.Structure):
    _fields_ = [
        ("arch", ctypes.c_uint8), ("lean", ctypes.c_uint8), ("region_shift", ctypes.c_uint8), ("windows", ctypes.c_uint8),
        ("state_bytes", ctypes.c_uint32), ("old_size", ctypes.c_uint32), ("new_size", ctypes.c_uint32), ("base", ctypes.c_uint32),
        ("window", _Window * 3), ("old_sha256", ctypes.c_uint8 * 32), ("new_sha256", ctypes.c_uint8 * 32),
    ]


_READ = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32)


class _Io(ctypes.Structure):
    _fields_ = [("ctx", ctypes.c_void_p), ("read", _READ), ("read_new", _READ)]


class _Span(ctypes.Structure):
    _fields_ = [("input", ctypes.c_void_p), ("in_n", ctypes.c_uint32), ("out", ctypes.c_void_p), ("out_n", ctypes.c_uint32)]


class _Job(ctypes.Structure):
    _fields_ = [
        ("old_image", ctypes.c_char_p), ("new_image", ctypes.c_char_p), ("old_sha256", ctypes.c_char_p), ("new_sha256", ctypes.c_char_p),
        ("old_size", ctypes.c_uint32), ("new_size", ctypes.c_uint32), ("arch", ctypes.c_uint32), ("state_bytes", ctypes.c_uint32),
    ]


@functools.cache
def _encoder():
    lib = ctypes.CDLL(str(build.libraries()[0]))
    lib.mpota_patch_make.restype = ctypes.c_uint32
    return lib


@functools.cache
def _decoder():
    lib = ctypes.CDLL(str(build.libraries()[1]))
    lib.ota_patch_get_info.restype = ctypes.POINTER(_Info)
    return lib


class Decoder:
    """The boards' decoder over an old image in memory."""

    def __init__(self, old, state=16384, sector=4096):
        self.old = old
        self.reads = 0
        self._state = ctypes.create_string_buffer(state + 3)
        self._at = (ctypes.addressof(self._state) + 3) & ~3
        self._out = ctypes.create_string_buffer(sector)
        self._new = bytearray()
        self._io = _Io(None, _READ(self._read), _READ(self._read_new))
        self._lib = _decoder()
        self._checked(self._lib.ota_patch_init(ctypes.c_void_p(self._at), state))

    def _read(self, _ctx, offset, buf, n):
        self.reads += 1
        if offset + n > len(self.old):
            return -1060
        ctypes.memmove(buf, self.old[offset : offset + n], n)
        return 0

    def _read_new(self, _ctx, offset, buf, n):
        at = offset - len(self._new)  # in what is not yielded yet
        self.reads += at < 0
        made = self._new[offset : offset + n] + self._out[max(at, 0) : max(at + n, 0)]
        ctypes.memmove(buf, bytes(made), n)
        return 0

    @staticmethod
    def _checked(result):
        if result < 0:
            raise PatchError(-result)
        return result

    def info(self):
        pointer = self._lib.ota_patch_get_info(ctypes.c_void_p(self._at))
        return pointer.contents if pointer else None

    def _run(self, call, data):
        """Yields what comes out, sector by sector."""
        room = len(self._out)
        keep = ctypes.create_string_buffer(bytes(data), len(data) or 1)
        span = _Span(ctypes.addressof(keep), len(data), ctypes.addressof(self._out), room)
        while True:
            result = self._checked(call(ctypes.c_void_p(self._at), ctypes.byref(self._io), ctypes.byref(span)))
            if result == BASE:
                self._check_base()
                continue
            if span.out_n < room:
                made = self._out.raw[: room - span.out_n]
                self._new += made
                yield made
                span.out, span.out_n = ctypes.addressof(self._out), room
            if result != FULL:
                return

    def _check_base(self):
        info = self.info()
        if info.old_size != len(self.old) or bytes(info.old_sha256) != hashlib.sha256(self.old).digest():
            raise PatchError(1073)

    def push(self, data):
        return b"".join(self._run(self._lib.ota_patch_push, data))

    def finish(self):
        return b"".join(self._run(self._lib.ota_patch_finish, b""))


@contextlib.contextmanager
def _interruptible():
    """Ctrl-C ends the process at once, as Python cannot while it waits for the encoder."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def make(old, new, arch="auto", state=16384):
    """A patch from old to new whose decoder needs at most `state` bytes. Proved by decoding it."""
    old, new = bytes(old), bytes(new)
    if max(len(old), len(new)) > MAX_BYTES:
        raise ValueError("images above 16 MiB cannot be patched")
    number = len(ARCHS) if arch == "auto" else ARCHS.index(arch)
    room = len(new) * 2 + 1024
    out = ctypes.create_string_buffer(room)
    job = _Job(old, new, hashlib.sha256(old).digest(), hashlib.sha256(new).digest(), len(old), len(new), number, state)
    with _interruptible():
        size = _encoder().mpota_patch_make(ctypes.byref(job), out, room)
    if not size:
        raise ValueError(f"no patch can be decoded with {state} bytes of state")
    patch = out.raw[:size]
    if apply(old, patch) != new:
        raise AssertionError("patch does not decode to the new image")
    return patch


def apply(old, patch):
    """The new image. PatchError if the base is another one or the patch is damaged."""
    decoder = Decoder(bytes(old), max(2048, _state_of(patch)))
    new = decoder.push(patch) + decoder.finish()
    if hashlib.sha256(new).digest() != bytes(decoder.info().new_sha256):
        raise PatchError(1005)
    return new


def _header(patch):
    """The header, whatever state it asks for."""
    lib = _decoder()
    state = (ctypes.c_uint32 * 262144)()
    keep = ctypes.create_string_buffer(bytes(patch), len(patch) or 1)
    span = _Span(ctypes.addressof(keep), len(patch), None, 0)
    io = _Io(None, _READ(lambda *_: -1060), _READ(lambda *_: -1060))
    Decoder._checked(lib.ota_patch_init(state, ctypes.sizeof(state)))
    result = Decoder._checked(lib.ota_patch_push(state, ctypes.byref(io), ctypes.byref(span)))
    if result != BASE:
        raise PatchError(1075)
    return _Info.from_buffer_copy(lib.ota_patch_get_info(state).contents)


def _state_of(patch):
    return min(_header(patch).state_bytes, 1 << 20)


def info(patch):
    """What the header says."""
    h = _header(patch)
    return {
        "format": patch[2],
        "arch": ARCHS[h.arch],
        "base_address": h.base,
        "windows": [[w.start, w.size] for w in h.window[: h.windows]],
        "state_bytes": h.state_bytes,
        "lean": h.lean,
        "region_bytes": 1 << h.region_shift,
        "base_size": h.old_size,
        "base_sha256": bytes(h.old_sha256).hex(),
        "result_size": h.new_size,
        "result_sha256": bytes(h.new_sha256).hex(),
        "patch_size": len(patch),
    }
