// The `esp` module.
// SPDX-License-Identifier: MIT
#include "port.h"

#include "py/mperrno.h"
#include "py/runtime.h"

static mp_obj_t esp_osdebug(mp_obj_t level) {
    (void)level; // there is no SDK whose messages could be turned on
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(esp_osdebug_obj, esp_osdebug);

static mp_obj_t esp_flash_id(void) {
    return mp_obj_new_int(flash_id);
}
static MP_DEFINE_CONST_FUN_OBJ_0(esp_flash_id_obj, esp_flash_id);

static mp_obj_t esp_flash_size(void) {
    return mp_obj_new_int_from_uint(flash_size);
}
static MP_DEFINE_CONST_FUN_OBJ_0(esp_flash_size_obj, esp_flash_size);

// Where the user's part of the flash begins: behind both slots, where upstream says "behind the firmware".
static mp_obj_t esp_flash_user_start(void) {
    return MP_OBJ_NEW_SMALL_INT(BOARD_FILESYSTEM);
}
static MP_DEFINE_CONST_FUN_OBJ_0(esp_flash_user_start_obj, esp_flash_user_start);

static void check(int failed) {
    if (failed) {
        mp_raise_OSError(MP_EIO);
    }
}

static mp_obj_t esp_flash_read(mp_obj_t offset_in, mp_obj_t len_or_buf) {
    uint32_t offset = (uint32_t)mp_obj_get_int_truncated(offset_in);
    if (mp_obj_is_int(len_or_buf)) {
        vstr_t vstr;
        vstr_init_len(&vstr, mp_obj_get_int(len_or_buf));
        check(flash_read(offset, vstr.buf, vstr.len));
        return mp_obj_new_bytes_from_vstr(&vstr);
    }
    mp_buffer_info_t buf;
    mp_get_buffer_raise(len_or_buf, &buf, MP_BUFFER_WRITE);
    check(flash_read(offset, buf.buf, buf.len));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(esp_flash_read_obj, esp_flash_read);

static mp_obj_t esp_flash_write(mp_obj_t offset_in, mp_obj_t buf_in) {
    uint32_t offset = (uint32_t)mp_obj_get_int_truncated(offset_in);
    mp_buffer_info_t buf;
    mp_get_buffer_raise(buf_in, &buf, MP_BUFFER_READ);
    if (buf.len & 3) {
        mp_raise_ValueError(MP_ERROR_TEXT("len must be multiple of 4"));
    }
    port_poll();
    check(flash_write(offset, buf.buf, buf.len));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(esp_flash_write_obj, esp_flash_write);

static mp_obj_t esp_flash_erase(mp_obj_t sector) {
    port_poll();
    check(flash_erase((uint32_t)mp_obj_get_int(sector)));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(esp_flash_erase_obj, esp_flash_erase);

static const mp_rom_map_elem_t esp_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_esp) },
    { MP_ROM_QSTR(MP_QSTR_osdebug), MP_ROM_PTR(&esp_osdebug_obj) },
    { MP_ROM_QSTR(MP_QSTR_flash_id), MP_ROM_PTR(&esp_flash_id_obj) },
    { MP_ROM_QSTR(MP_QSTR_flash_read), MP_ROM_PTR(&esp_flash_read_obj) },
    { MP_ROM_QSTR(MP_QSTR_flash_write), MP_ROM_PTR(&esp_flash_write_obj) },
    { MP_ROM_QSTR(MP_QSTR_flash_erase), MP_ROM_PTR(&esp_flash_erase_obj) },
    { MP_ROM_QSTR(MP_QSTR_flash_size), MP_ROM_PTR(&esp_flash_size_obj) },
    { MP_ROM_QSTR(MP_QSTR_flash_user_start), MP_ROM_PTR(&esp_flash_user_start_obj) },
};
static MP_DEFINE_CONST_DICT(esp_globals, esp_globals_table);

const mp_obj_module_t esp_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&esp_globals,
};

MP_REGISTER_MODULE(MP_QSTR_esp, esp_module);
