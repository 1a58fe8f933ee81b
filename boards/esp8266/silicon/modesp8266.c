// `_esp8266`: the erase of 64 KiB at once, which upstream's `esp` has not.
// SPDX-License-Identifier: MIT
#include "py/mperrno.h"
#include "py/runtime.h"

#include "erase.h"

static mp_obj_t erase_block(mp_obj_t block) {
    if (mpota_erase_block((uint32_t)mp_obj_get_int(block)) != 0) {
        mp_raise_OSError(MP_EIO);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(erase_block_obj, erase_block);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__esp8266) },
    { MP_ROM_QSTR(MP_QSTR_erase_block), MP_ROM_PTR(&erase_block_obj) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t esp8266_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};
MP_REGISTER_MODULE(MP_QSTR__esp8266, esp8266_module);
