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
