// `_fuzz`: libFuzzer for Python. run(one, arguments) calls one(data) with ever new bytes; any exception is a find.
// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>

#include "py/runtime.h"

int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*one)(const uint8_t *data, size_t size));

uint8_t fuzz_counters[FUZZ_COUNTERS] __attribute__((section("__libfuzzer_extra_counters")));

static mp_obj_t target;

static int one(const uint8_t *data, size_t size) {
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        mp_call_function_1(target, mp_obj_new_bytes(data, size));
        nlr_pop();
        return 0;
    }
    mp_obj_print_exception(&mp_plat_print, MP_OBJ_FROM_PTR(nlr.ret_val));
    fflush(stdout);
    abort();
}

static mp_obj_t run(mp_obj_t callable, mp_obj_t arguments) {
    size_t count;
    mp_obj_t *items;
    mp_obj_get_array(arguments, &count, &items);
    int argc = (int)count + 1;
    char **argv = calloc(count + 2, sizeof(char *));
    argv[0] = "fuzz_python";
    for (size_t i = 0; i < count; i++) {
        argv[i + 1] = (char *)mp_obj_str_get_str(items[i]);
    }
    target = callable;
    return MP_OBJ_NEW_SMALL_INT(LLVMFuzzerRunDriver(&argc, &argv, one));
}
static MP_DEFINE_CONST_FUN_OBJ_2(run_obj, run);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__fuzz) },
    { MP_ROM_QSTR(MP_QSTR_run), MP_ROM_PTR(&run_obj) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t fuzz_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};
MP_REGISTER_MODULE(MP_QSTR__fuzz, fuzz_module);
