// What the files of the binding share.
// SPDX-License-Identifier: MIT
#ifndef MODOTA_H
#define MODOTA_H

#include "py/runtime.h"

// Raises OSError(code) for a negative ota_err; passes a count on.
mp_obj_t modota_result(int32_t r);

// The caller's buffer of at least `least` bytes, aligned for words; its size in *n. ValueError otherwise.
void *modota_buffer(mp_obj_t obj, size_t least, mp_uint_t flags, size_t *n);

// The bytes of any buffer; their count in *n.
const uint8_t *modota_bytes(mp_obj_t obj, size_t *n);

// The first n_obj bytes of the caller's buffer; ValueError if it has fewer.
const uint8_t *modota_input(mp_obj_t obj, mp_obj_t n_obj, uint32_t *n);

MP_DECLARE_CONST_FUN_OBJ_1(modota_md5_init_obj);
MP_DECLARE_CONST_FUN_OBJ_3(modota_md5_push_obj);
MP_DECLARE_CONST_FUN_OBJ_1(modota_md5_finish_obj);
MP_DECLARE_CONST_FUN_OBJ_2(modota_coap_read_obj);
MP_DECLARE_CONST_FUN_OBJ_VAR_BETWEEN(modota_coap_write_obj);
MP_DECLARE_CONST_FUN_OBJ_2(modota_datagram_obj);
MP_DECLARE_CONST_FUN_OBJ_1(modota_patch_state_obj);
MP_DECLARE_CONST_FUN_OBJ_3(modota_patch_begin_obj);
MP_DECLARE_CONST_FUN_OBJ_VAR_BETWEEN(modota_patch_step_obj);

#endif
