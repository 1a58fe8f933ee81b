"""The core in C, `_ota`; the only file that imports it.

Every function works on the caller's buffers and allocates nothing but its result. Bad data raises
OSError(code) with a code of SPEC.md section 5; a wrong buffer raises ValueError.

mark(buf, kind, arg, number, tail): writes one mark of 16 bytes to the start of buf (SPEC.md section 2).
trailer(state, buf, n) -> tuple: what a trailer says up to and with its next n bytes; state has TRAILER_STATE bytes, zeros before the
first.
image_init(state, limit): starts reading an image of at most limit bytes; state has IMAGE_STATE bytes.
image_push(state, buf, n) -> count consumed; fewer than n only at the image's end.
image_digest(state) -> SHA-256 over the whole image as pushed, None if it is not complete.
image_finish(state, work, keys, vendor_id, class_id, min_counter): everything SPEC.md section 1 demands.
image_info(state) -> (version, counter, flags, header_size, payload_size, total_size); version has 4 numbers.
patch_state(n) -> bytes a state must have for a decoder of n bytes.
patch_begin(state, next, input) -> (old_size, new_size, old_sha256, new_sha256): reads a patch's header. next() fills
input with more of the patch and returns how many bytes came, 0 at the end.
patch_step(state, read, old, new, window, next, input, out) -> bytes put out, fewer than out holds only at the end; they are to be written
before the next step. read(offset, buf) reads the base from offset `old` on and what has been written of the result from `new` on; window is
a buffer of 112 bytes, out one of at least as many, whole words. state and input are patch_begin's, ValueError if not; no callback may change a
buffer's size.
md5_init(state), md5_push(state, buf, n), md5_finish(state) -> digest: MD5; state has MD5_STATE bytes.
coap_read(buf, n) -> what the datagram in the first n bytes says, None if it is no CoAP message: kind, code, mid, token, observe, block2,
size2, etag, payload, end. An option that is not there is -1 or empty; the payload is from payload to end, which is n, but payload is -1
if the options are malformed.
coap_write(kind, code, mid, token, options, payload) -> the message. options: (number, value) in ascending order; value is a number,
bytes, or a tuple of bytes for as many options; ValueError if they are not.
datagram(stream, buf) -> bytes of the one datagram read into buf, None if none has come. Not of the core.
rsa_verify(work, key, hash, signature): RSASSA-PKCS1-v1_5 over a SHA-256 (RFC 8017 8.2); work has 2048 bytes.
"""

# SPDX-License-Identifier: MIT
from _ota import (
    IMAGE_STATE,
    MD5_STATE,
    TRAILER_STATE,
    coap_read,
    coap_write,
    datagram,
    image_digest,
    image_finish,
    image_info,
    image_init,
    image_push,
    mark,
    md5_finish,
    md5_init,
    md5_push,
    patch_begin,
    patch_state,
    patch_step,
    rsa_verify,
    trailer,
)
