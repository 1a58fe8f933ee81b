// `_ota`, the patch decoder: a sector of the new image at a call, nothing allocated.
// SPDX-License-Identifier: MIT
#include "modota.h"

#include "../core/patch.h"

// What lies at the start of the caller's state. It leaves the decoder as aligned as the buffer.
struct call {
    uint32_t at, left; // in the input buffer
    uint32_t ended;
    uint32_t made; // bytes that earlier steps have put out
    uint32_t decoder_bytes; // 0: not begun
    uint32_t decoder[];
};

// Both images behind flash.read_raw(offset, buf), which takes whole words. What this step makes of the new one is in `out` only.
struct images {
    mp_obj_t read, window;
    const uint8_t *bytes, *out;
    uint32_t old, new, made;
};

static int read_old(void *ctx, uint32_t offset, void *buf, uint32_t n) {
    const struct images *m = ctx;
    if (n > OTA_PATCH_READ_BYTES) {
        return OTA_E_FLASH;
    }
    mp_call_function_2(m->read, mp_obj_new_int_from_uint(m->old + offset), m->window);
    memcpy(buf, m->bytes, n);
    return OTA_OK;
}

// Behind what has been written flash may hold what cannot be read: the window ends there.
static int read_new(void *ctx, uint32_t offset, void *buf, uint32_t n) {
    const struct images *m = ctx;
    uint32_t written = offset < m->made ? m->made - offset : 0;
    if (n > OTA_PATCH_READ_BYTES) {
        return OTA_E_FLASH;
    }
    if (written > n) {
        written = n;
    }
    if (written) {
        uint32_t last = m->made - OTA_PATCH_READ_BYTES, from = offset < last ? offset : last;
        mp_call_function_2(m->read, mp_obj_new_int_from_uint(m->new + from), m->window);
        memcpy(buf, m->bytes + (offset - from), written);
    }
    memcpy((uint8_t *)buf + written, m->out + (offset + written - m->made), n - written);
    return OTA_OK;
}

// Asks the caller's function for input; false at its end.
static bool more(struct call *c, mp_obj_t next, size_t size) {
    mp_int_t n = mp_obj_get_int(mp_call_function_0(next));
    if (n < 0 || (size_t)n > size) {
        mp_raise_ValueError(MP_ERROR_TEXT("length"));
    }
    c->at = 0;
    c->left = (uint32_t)n;
    c->ended = n == 0;
    return n > 0;
}

static struct call *state_of(mp_obj_t obj, size_t *decoder_bytes) {
    size_t n;
    struct call *c = modota_buffer(obj, sizeof(struct call) + OTA_PATCH_STATE_MIN, MP_BUFFER_WRITE, &n);
    *decoder_bytes = n - sizeof(struct call);
    return c;
}

// patch_begin(state, next, input) -> (old_size, new_size, old_sha256, new_sha256): reads the header. next() fills input and
// returns how many bytes came, 0 at the end.
static mp_obj_t patch_begin(mp_obj_t state, mp_obj_t next, mp_obj_t input) {
    size_t decoder_bytes, size;
    struct call *c = state_of(state, &decoder_bytes);
    uint8_t *in = modota_buffer(input, 1, MP_BUFFER_READ, &size);
    c->decoder_bytes = c->made = 0;
    modota_result(ota_patch_init(c->decoder, (uint32_t)decoder_bytes));
    for (;;) {
        if (!more(c, next, size)) {
            mp_raise_OSError(-OTA_E_PATCH_SIZE);
        }
        struct ota_patch_span x = { .in = in, .in_n = c->left };
        int r = ota_patch_push(c->decoder, NULL, &x);
        modota_result(r);
        c->at = c->left - x.in_n;
        c->left = x.in_n;
        if (r == OTA_PATCH_BASE) {
            break;
        }
    }
    c->decoder_bytes = (uint32_t)decoder_bytes;
    const struct ota_patch_info *info = ota_patch_get_info(c->decoder);
    mp_obj_t items[] = {
        mp_obj_new_int_from_uint(info->old_size),
        mp_obj_new_int_from_uint(info->new_size),
        mp_obj_new_bytes(info->old_sha256, sizeof(info->old_sha256)),
        mp_obj_new_bytes(info->new_sha256, sizeof(info->new_sha256)),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
MP_DEFINE_CONST_FUN_OBJ_3(modota_patch_begin_obj, patch_begin);

// patch_step(state, read, old, new, window, next, input, out) -> bytes put out; fewer than out holds only at the end. They are to be at `new`
// for read() before the next call. window and out have 112 bytes at least, out whole words.
static mp_obj_t patch_step(size_t n_args, const mp_obj_t *args) {
    size_t unused, decoder_bytes, input_size, out_size;
    struct call *c = state_of(args[0], &decoder_bytes);
    struct images images = { .read = args[1], .window = args[4], .made = c->made };
    images.old = (uint32_t)mp_obj_get_int_truncated(args[2]);
    images.new = (uint32_t)mp_obj_get_int_truncated(args[3]);
    images.bytes = modota_buffer(args[4], OTA_PATCH_READ_BYTES, MP_BUFFER_WRITE, &unused);
    uint8_t *in = modota_buffer(args[6], 1, MP_BUFFER_READ, &input_size);
    uint8_t *out = modota_buffer(args[7], OTA_PATCH_READ_BYTES, MP_BUFFER_WRITE, &out_size);
    images.out = out;
    if (out_size & 3) {
        mp_raise_ValueError(MP_ERROR_TEXT("buffer")); // the next bytes would not lie at a whole word
    }
    if (c->decoder_bytes != decoder_bytes || c->at > input_size || c->left > input_size - c->at) {
        mp_raise_ValueError(MP_ERROR_TEXT("state")); // not begun, or begun with other buffers
    }
    const struct ota_patch_io io = { .ctx = &images, .read_old = read_old, .read_new = read_new };
    struct ota_patch_span x = { .in = in + c->at, .in_n = c->left, .out = out, .out_n = (uint32_t)out_size };
    c->decoder_bytes = 0; // what a callback raises leaves a step half done: there is no other then
    for (;;) {
        int r = c->ended ? ota_patch_finish(c->decoder, &io, &x) : ota_patch_push(c->decoder, &io, &x);
        modota_result(r);
        c->at = (uint32_t)(x.in - in);
        c->left = x.in_n;
        if (r == OTA_PATCH_FULL || (c->ended && r == OTA_OK)) {
            uint32_t n = (uint32_t)out_size - x.out_n;
            c->made += n;
            c->decoder_bytes = (uint32_t)decoder_bytes;
            return MP_OBJ_NEW_SMALL_INT(n);
        }
        if (r == OTA_PATCH_MORE) {
            more(c, args[5], input_size);
            x.in = in;
            x.in_n = c->left;
        }
    }
}
MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(modota_patch_step_obj, 8, 8, patch_step);

// PATCH_STATE(n): bytes of state for a decoder of n.
static mp_obj_t patch_state(mp_obj_t n) {
    return mp_obj_new_int((mp_int_t)sizeof(struct call) + mp_obj_get_int(n));
}
MP_DEFINE_CONST_FUN_OBJ_1(modota_patch_state_obj, patch_state);
