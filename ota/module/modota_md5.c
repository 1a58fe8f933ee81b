// `_ota`: MD5.
// SPDX-License-Identifier: MIT
#include "modota.h"

#include "../core/md5.h"

static ota_md5_t *md5_state(mp_obj_t obj) {
    size_t n;
    return modota_buffer(obj, sizeof(ota_md5_t), MP_BUFFER_WRITE, &n);
}

static mp_obj_t md5_init(mp_obj_t state) {
    ota_md5_init(md5_state(state));
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_1(modota_md5_init_obj, md5_init);

// md5_push(state, buf, n)
static mp_obj_t md5_push(mp_obj_t state, mp_obj_t buf, mp_obj_t n_obj) {
    uint32_t n;
    const uint8_t *p = modota_input(buf, n_obj, &n);
    ota_md5_push(md5_state(state), p, n);
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_3(modota_md5_push_obj, md5_push);

static mp_obj_t md5_finish(mp_obj_t state) {
    uint8_t digest[16];
    ota_md5_finish(md5_state(state), digest);
    return mp_obj_new_bytes(digest, sizeof(digest));
}
MP_DEFINE_CONST_FUN_OBJ_1(modota_md5_finish_obj, md5_finish);
