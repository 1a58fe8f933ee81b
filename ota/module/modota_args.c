// What every function of the binding does with its arguments and its result.
// SPDX-License-Identifier: MIT
#include "modota.h"

mp_obj_t modota_result(int32_t r) {
    if (r < 0) {
        mp_raise_OSError((int)-r);
    }
    return MP_OBJ_NEW_SMALL_INT(r);
}

void *modota_buffer(mp_obj_t obj, size_t least, mp_uint_t flags, size_t *n) {
    mp_buffer_info_t info;
    mp_get_buffer_raise(obj, &info, flags);
    if (info.len < least || ((uintptr_t)info.buf & 3u) != 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("buffer"));
    }
    *n = info.len;
    return info.buf;
}

const uint8_t *modota_bytes(mp_obj_t obj, size_t *n) {
    mp_buffer_info_t info;
    mp_get_buffer_raise(obj, &info, MP_BUFFER_READ);
    *n = info.len;
    return info.buf;
}

const uint8_t *modota_input(mp_obj_t obj, mp_obj_t n_obj, uint32_t *n) {
    size_t got;
    const uint8_t *p = modota_bytes(obj, &got);
    mp_int_t want = mp_obj_get_int(n_obj);
    if (want < 0 || (size_t)want > got) {
        mp_raise_ValueError(MP_ERROR_TEXT("length"));
    }
    *n = (uint32_t)want;
    return p;
}
