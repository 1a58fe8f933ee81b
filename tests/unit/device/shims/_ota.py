"""`_ota` on CPython: what ota/module/modota.c binds, over the same core through ctypes."""
# SPDX-License-Identifier: MIT

import ctypes as c

import otacore
from _coap import coap_read, coap_write  # noqa: F401
from _patch import patch_begin, patch_state, patch_step  # noqa: F401

_core = otacore.lib()
IMAGE_STATE = _core.sizes["image"]
MD5_STATE = _core.sizes["md5"]
TRAILER_STATE = c.sizeof(otacore.Trailer)


def _checked(r):
    if r < 0:
        raise OSError(-r, "")
    return r


def _memory(buf, size):
    if len(buf) < size:
        raise ValueError("buffer")
    return (c.c_char * len(buf)).from_buffer(buf)


def mark(buf, kind, arg, number, tail):
    if len(tail) != 6:
        raise ValueError("length")
    m = otacore.Mark(kind, arg, number, (c.c_uint8 * 6)(*tail))
    _core.ota_mark_encode(_memory(buf, 16), c.byref(m))


def trailer(state, buf, n):
    t = otacore.Trailer.from_buffer(state)
    _core.ota_trailer_push(c.byref(t), bytes(buf[:n]), n)
    return (t.next, t.started, t.artifact_type, t.artifact_size, bytes(t.digest), t.progress, t.complete, t.sequence,
            t.counter, t.tried, t.confirmed, t.rejected, t.reason, t.reported)


def image_init(state, limit):
    _core.ota_image_init(_memory(state, IMAGE_STATE), limit)


def image_push(state, buf, n):
    return _checked(_core.ota_image_push(_memory(state, IMAGE_STATE), bytes(buf[:n]), n))


def image_finish(state, work, keys, vendor_id, class_id, min_counter):
    array = (otacore.Key * len(keys))(*[otacore.Key(key, len(key)) for key in keys])
    trust = otacore.Trust(array, len(keys), vendor_id, class_id, min_counter)
    work = _memory(work, _core.sizes["rsa"])
    return _checked(_core.ota_image_finish(_memory(state, IMAGE_STATE), None, c.byref(trust), work))


def image_digest(state):
    digest = c.create_string_buffer(32)
    return digest.raw if _core.ota_image_digest(_memory(state, IMAGE_STATE), digest) else None


def image_info(state):
    info = otacore.Info.from_buffer_copy(state)
    v = info.version
    version = (v.major, v.minor, v.revision, v.build)
    return version, info.counter, info.flags, info.header_size, info.payload_size, info.total_size


def rsa_verify(work, key, digest, signature):
    key = otacore.Key(key, len(key))
    work = _memory(work, _core.sizes["rsa"])
    return _checked(_core.ota_rsa_verify(work, None, c.byref(key), otacore.PKCS1, digest, signature, len(signature)))


def md5_init(state):
    _core.ota_md5_init(_memory(state, MD5_STATE))


def md5_push(state, buf, n):
    if not 0 <= n <= len(buf):
        raise ValueError("length")
    _core.ota_md5_push(_memory(state, MD5_STATE), bytes(buf[:n]), n)


def md5_finish(state):
    digest = c.create_string_buffer(16)
    _core.ota_md5_finish(_memory(state, MD5_STATE), digest)
    return digest.raw


def datagram(stream, buf):
    return stream.readinto(buf)
