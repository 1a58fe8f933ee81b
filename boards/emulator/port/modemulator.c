// `_emulator`: what a measurement can ask of this machine and of no chip.
// SPDX-License-Identifier: MIT
#include "port.h"

#include "py/gc.h"
#include "py/runtime.h"

static size_t live_peak;

// Called at the end of every collection: what it left is alive. With gc.threshold(1) there is one before every allocation.
void port_collected(void) {
    gc_info_t info;
    gc_info(&info);
    if (info.used > live_peak) {
        live_peak = info.used;
    }
}

// heap_peak() -> the most bytes of the heap that were ever alive at a collection; counts anew from here.
static mp_obj_t heap_peak(void) {
    size_t peak = live_peak;
    live_peak = 0;
    return mp_obj_new_int_from_uint(peak);
}
static MP_DEFINE_CONST_FUN_OBJ_0(heap_peak_obj, heap_peak);

// spent() -> (all, asleep, in flash functions): microseconds since power on; with -icount shift=0 thousands of instructions.
static mp_obj_t spent(void) {
    uint32_t per_us = BOARD_HZ / 1000000;
    mp_obj_t items[] = {
        mp_obj_new_int_from_ull(time_us()),
        mp_obj_new_int_from_ull(port_spent.waiting / per_us),
        mp_obj_new_int_from_ull(port_spent.flash / per_us),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
static MP_DEFINE_CONST_FUN_OBJ_0(spent_obj, spent);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__emulator) },
    { MP_ROM_QSTR(MP_QSTR_heap_peak), MP_ROM_PTR(&heap_peak_obj) },
    { MP_ROM_QSTR(MP_QSTR_spent), MP_ROM_PTR(&spent_obj) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t emulator_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};
MP_REGISTER_MODULE(MP_QSTR__emulator, emulator_module);
