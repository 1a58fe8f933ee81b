// The patch decoder of `_ota` as a native module for a MicroPython that was built without it (ota/native.py says what its functions do).
// SPDX-License-Identifier: MIT
#include "modota.h"

// A native module has no C library; the compiler calls these of its own accord too.
void *memcpy(void *to, const void *from, size_t n) {
    return mp_fun_table.memmove_(to, from, n);
}

void *memmove(void *to, const void *from, size_t n) {
    return mp_fun_table.memmove_(to, from, n);
}

void *memset(void *to, int c, size_t n) {
    return mp_fun_table.memset_(to, c, n);
}

int memcmp(const void *a, const void *b, size_t n) {
    const uint8_t *p = a, *q = b;
    for (; n; n--, p++, q++) {
        if (*p != *q) {
            return *p - *q;
        }
    }
    return 0;
}

mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY
    mp_store_global(MP_QSTR_patch_state, MP_OBJ_FROM_PTR(&modota_patch_state_obj));
    mp_store_global(MP_QSTR_patch_begin, MP_OBJ_FROM_PTR(&modota_patch_begin_obj));
    mp_store_global(MP_QSTR_patch_step, MP_OBJ_FROM_PTR(&modota_patch_step_obj));
    MP_DYNRUNTIME_INIT_EXIT
}
