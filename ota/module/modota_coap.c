// `_ota`: CoAP messages, and one datagram at a time.
// SPDX-License-Identifier: MIT
#include "modota.h"

#include "py/objtuple.h"
#include "py/stream.h"

#include "../core/coap.h"

static const qstr fields[] = {
    MP_QSTR_kind, MP_QSTR_code, MP_QSTR_mid, MP_QSTR_token, MP_QSTR_observe, MP_QSTR_block2, MP_QSTR_size2, MP_QSTR_etag, MP_QSTR_payload,
    MP_QSTR_end,
};

// coap_read(buf, n) -> what the datagram in the first n bytes says, None if it is no message
static mp_obj_t coap_read(mp_obj_t buf_obj, mp_obj_t n_obj) {
    uint32_t n;
    const uint8_t *buf = modota_input(buf_obj, n_obj, &n);
    ota_coap_t m;
    if (!ota_coap_header(&m, buf, n)) {
        return mp_const_none;
    }
    bool good = ota_coap_options(&m, buf, n);
    mp_obj_t items[] = {
        MP_OBJ_NEW_SMALL_INT(m.kind),
        MP_OBJ_NEW_SMALL_INT(m.code),
        MP_OBJ_NEW_SMALL_INT(m.mid),
        mp_obj_new_bytes(buf + 4, m.token_size),
        MP_OBJ_NEW_SMALL_INT(m.observe),
        MP_OBJ_NEW_SMALL_INT(m.block2),
        mp_obj_new_int_from_ll(m.size2),
        mp_obj_new_bytes(buf + m.etag, m.etag_size),
        MP_OBJ_NEW_SMALL_INT(good ? m.payload : -1),
        MP_OBJ_NEW_SMALL_INT(n),
    };
    return mp_obj_new_attrtuple(fields, MP_ARRAY_SIZE(items), items);
}
MP_DEFINE_CONST_FUN_OBJ_2(modota_coap_read_obj, coap_read);

// A value is a number, a string of bytes, or a tuple of such strings: as many options.
static bool write_option(struct ota_coap_writer *w, uint32_t number, mp_obj_t value) {
    if (mp_obj_is_int(value)) {
        return ota_coap_uint(w, number, (uint32_t)mp_obj_get_int_truncated(value));
    }
    size_t count = 1;
    mp_obj_t *parts = &value;
    if (mp_obj_is_type(value, &mp_type_tuple)) {
        mp_obj_tuple_get(value, &count, &parts);
    }
    for (size_t i = 0; i < count; i++) {
        size_t size;
        const uint8_t *p = modota_bytes(parts[i], &size);
        if (!ota_coap_option(w, number, p, (uint32_t)size)) {
            return false;
        }
    }
    return true;
}

// args: kind, code, mid, token, options, payload
static void write_message(struct ota_coap_writer *w, const mp_obj_t *args) {
    size_t size, count;
    mp_obj_t *options;
    const uint8_t *token = modota_bytes(args[3], &size);
    ota_coap_begin(w, (uint8_t)mp_obj_get_int(args[0]), (uint8_t)mp_obj_get_int(args[1]), (uint16_t)mp_obj_get_int(args[2]), token,
        (uint32_t)size);
    mp_obj_get_array(args[4], &count, &options);
    for (size_t i = 0; i < count; i++) {
        mp_obj_t *pair;
        mp_obj_get_array_fixed_n(options[i], 2, &pair);
        if (!write_option(w, (uint32_t)mp_obj_get_int(pair[0]), pair[1])) {
            mp_raise_ValueError(MP_ERROR_TEXT("option"));
        }
    }
    const uint8_t *payload = modota_bytes(args[5], &size);
    ota_coap_payload(w, payload, (uint32_t)size);
}

// coap_write(kind, code, mid, token, options, payload) -> bytes
static mp_obj_t coap_write(size_t n_args, const mp_obj_t *args) {
    struct ota_coap_writer w = { .size = 0 };
    write_message(&w, args);
    vstr_t vstr;
    vstr_init_len(&vstr, w.n);
    w.buf = (uint8_t *)vstr.buf;
    w.size = w.n;
    write_message(&w, args);
    return mp_obj_new_bytes_from_vstr(&vstr);
}
MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(modota_coap_write_obj, 6, 6, coap_write);

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
