// `_esp8266`: the erase of 64 KiB at once and a watchdog that can be lent back, which upstream's `esp` and `machine` have not.
// SPDX-License-Identifier: MIT
#include "py/mperrno.h"
#include "py/runtime.h"

#include "chip.h"

static mp_obj_t erase_block(mp_obj_t block) {
    if (mpota_erase_block((uint32_t)mp_obj_get_int(block)) != 0) {
        mp_raise_OSError(MP_EIO);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(erase_block_obj, erase_block);

static mp_obj_t watch(mp_obj_t by_hand) {
    mpota_lend_watchdog(!mp_obj_is_true(by_hand));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(watch_obj, watch);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__esp8266) },
    { MP_ROM_QSTR(MP_QSTR_erase_block), MP_ROM_PTR(&erase_block_obj) },
    { MP_ROM_QSTR(MP_QSTR_watch), MP_ROM_PTR(&watch_obj) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t esp8266_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};
MP_REGISTER_MODULE(MP_QSTR__esp8266, esp8266_module);
