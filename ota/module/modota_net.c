// `_ota`: what CoAP needs besides: MD5, and one datagram at a time.
// SPDX-License-Identifier: MIT
#include "modota.h"

#include "py/stream.h"

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
    mp_buffer_info_t info;
    mp_get_buffer_raise(buf, &info, MP_BUFFER_READ);
    mp_int_t n = mp_obj_get_int(n_obj);
    if (n < 0 || (size_t)n > info.len) {
        mp_raise_ValueError(MP_ERROR_TEXT("length"));
    }
    ota_md5_push(md5_state(state), info.buf, (uint32_t)n);
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_3(modota_md5_push_obj, md5_push);

static mp_obj_t md5_finish(mp_obj_t state) {
    uint8_t digest[16];
    ota_md5_finish(md5_state(state), digest);
    return mp_obj_new_bytes(digest, sizeof(digest));
}
MP_DEFINE_CONST_FUN_OBJ_1(modota_md5_finish_obj, md5_finish);

// datagram(stream, buf): one read of a socket that does not block. readinto() would join datagrams until buf is full.
static mp_obj_t datagram(mp_obj_t stream_obj, mp_obj_t buf) {
    const mp_stream_p_t *stream = mp_get_stream_raise(stream_obj, MP_STREAM_OP_READ);
    mp_buffer_info_t info;
    mp_get_buffer_raise(buf, &info, MP_BUFFER_WRITE);
    int error = 0;
    mp_uint_t n = stream->read(stream_obj, info.buf, info.len, &error);
    if (n != MP_STREAM_ERROR) {
        return MP_OBJ_NEW_SMALL_INT(n);
    }
    if (!mp_is_nonblocking_error(error)) {
        mp_raise_OSError(error);
    }
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_2(modota_datagram_obj, datagram);
