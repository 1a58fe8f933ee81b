// `_ota`, the patch decoder: a sector of the new image at a call, nothing allocated.
// SPDX-License-Identifier: MIT
#include "modota.h"

#include "../core/patch.h"

// What lies at the start of the caller's state: where its input buffer stands. It leaves the decoder as aligned as the buffer.
struct call {
    uint32_t at, left; // in the input buffer
    uint32_t ended;
    uint32_t decoder_bytes; // 0: not begun
    uint32_t decoder[];
};

// The old image behind flash.read_raw(offset, buf), which takes whole words.
struct old {
    mp_obj_t read, window;
    uint8_t *bytes;
    uint32_t base;
};

static int read_old(void *ctx, uint32_t offset, void *buf, uint32_t n) {
    const struct old *o = ctx;
    if (n > OTA_PATCH_READ_BYTES) {
        return OTA_E_FLASH;
    }
    mp_call_function_2(o->read, mp_obj_new_int_from_uint(o->base + offset), o->window);
    memcpy(buf, o->bytes, n);
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
    c->decoder_bytes = 0;
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

// patch_step(state, read, base, window, next, input, out) -> bytes put out; fewer than out holds only at the end.
static mp_obj_t patch_step(size_t n_args, const mp_obj_t *args) {
    size_t unused, decoder_bytes, input_size, out_size;
    struct call *c = state_of(args[0], &decoder_bytes);
    struct old old = { .read = args[1], .window = args[3], .base = (uint32_t)mp_obj_get_int_truncated(args[2]) };
    old.bytes = modota_buffer(args[3], OTA_PATCH_READ_BYTES, MP_BUFFER_WRITE, &unused);
    uint8_t *in = modota_buffer(args[5], 1, MP_BUFFER_READ, &input_size);
    uint8_t *out = modota_buffer(args[6], 1, MP_BUFFER_WRITE, &out_size);
    if (c->decoder_bytes != decoder_bytes || c->at > input_size || c->left > input_size - c->at) {
        mp_raise_ValueError(MP_ERROR_TEXT("state")); // not begun, or begun with other buffers
    }
    const struct ota_patch_io io = { .ctx = &old, .read = read_old };
    struct ota_patch_span x = { .in = in + c->at, .in_n = c->left, .out = out, .out_n = (uint32_t)out_size };
    for (;;) {
        int r = c->ended ? ota_patch_finish(c->decoder, &io, &x) : ota_patch_push(c->decoder, &io, &x);
        modota_result(r);
        c->at = (uint32_t)(x.in - in);
        c->left = x.in_n;
        if (r == OTA_PATCH_FULL || (c->ended && r == OTA_OK)) {
            return MP_OBJ_NEW_SMALL_INT(out_size - x.out_n);
        }
        if (r == OTA_PATCH_MORE) {
            more(c, args[4], input_size);
            x.in = in;
            x.in_n = c->left;
        }
    }
}
MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(modota_patch_step_obj, 7, 7, patch_step);

// PATCH_STATE(n): bytes of state for a decoder of n.
static mp_obj_t patch_state(mp_obj_t n) {
    return mp_obj_new_int((mp_int_t)sizeof(struct call) + mp_obj_get_int(n));
}
MP_DEFINE_CONST_FUN_OBJ_1(modota_patch_state_obj, patch_state);
