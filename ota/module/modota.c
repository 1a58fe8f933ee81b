// `_ota`: the core for MicroPython. Plain functions over the caller's buffers; ota/native.py documents them.
// SPDX-License-Identifier: MIT
#include "modota.h"

#include "../core/image.h"
#include "../core/md5.h"
#include "../core/trailer.h"

static void *buffer(mp_obj_t obj, size_t size, mp_uint_t flags) {
    size_t n;
    return modota_buffer(obj, size, flags, &n);
}

static const uint8_t *bytes_exactly(mp_obj_t obj, size_t n) {
    size_t got;
    const uint8_t *p = modota_bytes(obj, &got);
    if (got != n) {
        mp_raise_ValueError(MP_ERROR_TEXT("length"));
    }
    return p;
}

// Keys and constants are frozen into firmware, and the core is given memory only.
static const uint8_t *in_ram(mp_obj_t obj, uint32_t *n) {
    size_t size;
    const uint8_t *p = modota_bytes(obj, &size);
    *n = (uint32_t)size;
    return memcpy(m_new(uint8_t, size), p, size);
}

static struct ota_key key_in_ram(mp_obj_t obj) {
    struct ota_key key;
    key.der = in_ram(obj, &key.size);
    return key;
}

static mp_obj_t mark(size_t n_args, const mp_obj_t *args) {
    struct ota_mark m = {
        .kind = (uint8_t)mp_obj_get_int(args[1]),
        .arg = (uint8_t)mp_obj_get_int(args[2]),
        .number = (uint32_t)mp_obj_get_int_truncated(args[3]),
    };
    memcpy(m.tail, bytes_exactly(args[4], sizeof(m.tail)), sizeof(m.tail));
    ota_mark_encode(buffer(args[0], OTA_MARK_BYTES, MP_BUFFER_WRITE), &m);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(mark_obj, 5, 5, mark);

static mp_obj_t trailer(mp_obj_t state, mp_obj_t buf, mp_obj_t n_obj) {
    uint32_t n;
    const uint8_t *p = modota_input(buf, n_obj, &n);
    ota_trailer_t *t = buffer(state, sizeof(*t), MP_BUFFER_WRITE);
    ota_trailer_push(t, p, n & ~(uint32_t)(OTA_MARK_BYTES - 1));
    mp_obj_t items[] = {
        MP_OBJ_NEW_SMALL_INT(t->next),
        MP_OBJ_NEW_SMALL_INT(t->started),
        MP_OBJ_NEW_SMALL_INT(t->artifact_type),
        mp_obj_new_int_from_uint(t->artifact_size),
        mp_obj_new_bytes(t->digest, sizeof(t->digest)),
        mp_obj_new_int_from_uint(t->progress),
        MP_OBJ_NEW_SMALL_INT(t->complete),
        mp_obj_new_int_from_uint(t->sequence),
        mp_obj_new_int_from_uint(t->counter),
        MP_OBJ_NEW_SMALL_INT(t->tried),
        MP_OBJ_NEW_SMALL_INT(t->confirmed),
        MP_OBJ_NEW_SMALL_INT(t->rejected),
        mp_obj_new_int_from_uint(t->reason),
        MP_OBJ_NEW_SMALL_INT(t->reported),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
static MP_DEFINE_CONST_FUN_OBJ_3(trailer_obj, trailer);

static mp_obj_t image_init(mp_obj_t state, mp_obj_t limit) {
    ota_image_init(buffer(state, sizeof(ota_image_t), MP_BUFFER_WRITE), (uint32_t)mp_obj_get_int_truncated(limit));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(image_init_obj, image_init);

static mp_obj_t image_push(mp_obj_t state, mp_obj_t buf, mp_obj_t n_obj) {
    uint32_t n;
    const uint8_t *p = modota_input(buf, n_obj, &n);
    return modota_result(ota_image_push(buffer(state, sizeof(ota_image_t), MP_BUFFER_WRITE), p, n));
}
static MP_DEFINE_CONST_FUN_OBJ_3(image_push_obj, image_push);

// image_finish(state, work, keys, vendor_id, class_id, min_counter)
static mp_obj_t image_finish(size_t n_args, const mp_obj_t *args) {
    size_t count;
    mp_obj_t *items;
    mp_obj_get_array(args[2], &count, &items);
    struct ota_key keys[4];
    if (count > MP_ARRAY_SIZE(keys)) {
        mp_raise_ValueError(MP_ERROR_TEXT("keys"));
    }
    for (size_t i = 0; i < count; i++) {
        keys[i] = key_in_ram(items[i]);
    }
    struct ota_trust trust = {
        .keys = keys,
        .key_count = (uint32_t)count,
        .vendor_id = bytes_exactly(args[3], 16),
        .class_id = bytes_exactly(args[4], 16),
        .min_counter = (uint32_t)mp_obj_get_int_truncated(args[5]),
    };
    return modota_result(ota_image_finish(buffer(args[0], sizeof(ota_image_t), MP_BUFFER_WRITE), NULL, &trust,
        buffer(args[1], sizeof(ota_rsa_work_t), MP_BUFFER_WRITE)));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(image_finish_obj, 6, 6, image_finish);

// image_digest(state) -> SHA-256 over the whole image, None if it is not complete
static mp_obj_t image_digest(mp_obj_t state) {
    uint8_t digest[32];
    if (!ota_image_digest(buffer(state, sizeof(ota_image_t), MP_BUFFER_READ), digest)) {
        return mp_const_none;
    }
    return mp_obj_new_bytes(digest, sizeof(digest));
}
static MP_DEFINE_CONST_FUN_OBJ_1(image_digest_obj, image_digest);

static mp_obj_t image_info(mp_obj_t state) {
    const ota_image_t *s = buffer(state, sizeof(ota_image_t), MP_BUFFER_READ);
    mp_obj_t version[] = {
        MP_OBJ_NEW_SMALL_INT(s->info.version.major),
        MP_OBJ_NEW_SMALL_INT(s->info.version.minor),
        MP_OBJ_NEW_SMALL_INT(s->info.version.revision),
        mp_obj_new_int_from_uint(s->info.version.build),
    };
    mp_obj_t items[] = {
        mp_obj_new_tuple(MP_ARRAY_SIZE(version), version),
        mp_obj_new_int_from_uint(s->info.counter),
        mp_obj_new_int_from_uint(s->info.flags),
        mp_obj_new_int_from_uint(s->info.header_size),
        mp_obj_new_int_from_uint(s->info.payload_size),
        mp_obj_new_int_from_uint(s->info.total_size),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
static MP_DEFINE_CONST_FUN_OBJ_1(image_info_obj, image_info);

// rsa_verify(work, key, hash, signature): PKCS#1 v1.5
static mp_obj_t rsa_verify(size_t n_args, const mp_obj_t *args) {
    uint32_t sig_size;
    uint8_t hash[32];
    struct ota_key key = key_in_ram(args[1]);
    const uint8_t *sig = in_ram(args[3], &sig_size);
    memcpy(hash, bytes_exactly(args[2], sizeof(hash)), sizeof(hash));
    return modota_result(ota_rsa_verify(buffer(args[0], sizeof(ota_rsa_work_t), MP_BUFFER_WRITE), NULL, &key, OTA_RSA_PKCS1,
        hash, sig, sig_size));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(rsa_verify_obj, 4, 4, rsa_verify);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__ota) },
    { MP_ROM_QSTR(MP_QSTR_mark), MP_ROM_PTR(&mark_obj) },
    { MP_ROM_QSTR(MP_QSTR_TRAILER_STATE), MP_ROM_INT(sizeof(ota_trailer_t)) },
    { MP_ROM_QSTR(MP_QSTR_trailer), MP_ROM_PTR(&trailer_obj) },
    { MP_ROM_QSTR(MP_QSTR_IMAGE_STATE), MP_ROM_INT(sizeof(ota_image_t)) },
    { MP_ROM_QSTR(MP_QSTR_image_init), MP_ROM_PTR(&image_init_obj) },
    { MP_ROM_QSTR(MP_QSTR_image_push), MP_ROM_PTR(&image_push_obj) },
    { MP_ROM_QSTR(MP_QSTR_image_finish), MP_ROM_PTR(&image_finish_obj) },
    { MP_ROM_QSTR(MP_QSTR_image_digest), MP_ROM_PTR(&image_digest_obj) },
    { MP_ROM_QSTR(MP_QSTR_image_info), MP_ROM_PTR(&image_info_obj) },
    { MP_ROM_QSTR(MP_QSTR_MD5_STATE), MP_ROM_INT(sizeof(ota_md5_t)) },
    { MP_ROM_QSTR(MP_QSTR_md5_init), MP_ROM_PTR(&modota_md5_init_obj) },
    { MP_ROM_QSTR(MP_QSTR_md5_push), MP_ROM_PTR(&modota_md5_push_obj) },
    { MP_ROM_QSTR(MP_QSTR_md5_finish), MP_ROM_PTR(&modota_md5_finish_obj) },
    { MP_ROM_QSTR(MP_QSTR_coap_read), MP_ROM_PTR(&modota_coap_read_obj) },
    { MP_ROM_QSTR(MP_QSTR_coap_write), MP_ROM_PTR(&modota_coap_write_obj) },
    { MP_ROM_QSTR(MP_QSTR_datagram), MP_ROM_PTR(&modota_datagram_obj) },
    { MP_ROM_QSTR(MP_QSTR_rsa_verify), MP_ROM_PTR(&rsa_verify_obj) },
    { MP_ROM_QSTR(MP_QSTR_patch_state), MP_ROM_PTR(&modota_patch_state_obj) },
    { MP_ROM_QSTR(MP_QSTR_patch_begin), MP_ROM_PTR(&modota_patch_begin_obj) },
    { MP_ROM_QSTR(MP_QSTR_patch_step), MP_ROM_PTR(&modota_patch_step_obj) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t ota_native_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};
MP_REGISTER_MODULE(MP_QSTR__ota, ota_native_module);
