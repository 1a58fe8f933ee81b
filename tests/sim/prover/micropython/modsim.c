// `_sim`: the simulated board for MicroPython. The board itself is the library that MPOTA_SIM names (sim.h).
// SPDX-License-Identifier: MIT
#include <dlfcn.h>
#include <stdlib.h>

#include "py/runtime.h"

#include "sim.h"

static const struct sim_api *api;

static mp_uint_t number(mp_obj_t obj) {
    return (mp_uint_t)mp_obj_get_int_truncated(obj);
}

static void numbers(mp_obj_t obj, uint32_t *out, size_t n) {
    mp_obj_t *items;
    mp_obj_get_array_fixed_n(obj, n, &items);
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint32_t)number(items[i]);
    }
}

static const uint8_t *bytes_of(mp_obj_t obj, size_t *n) {
    mp_buffer_info_t info;
    mp_get_buffer_raise(obj, &info, MP_BUFFER_READ);
    *n = info.len;
    return info.buf;
}

// setup((sector, block, command, guarded_unit, raw_trailers, slot_bytes), key, vendor_id, class_id); what is passed must be kept
static mp_obj_t setup(size_t n_args, const mp_obj_t *args) {
    uint32_t part[6];
    size_t size, ignored;
    void *library = dlopen(getenv("MPOTA_SIM"), RTLD_NOW | RTLD_LOCAL);
    api = library ? dlsym(library, "sim_api") : NULL;
    if (!api) {
        mp_raise_msg_varg(&mp_type_OSError, MP_ERROR_TEXT("%s"), dlerror());
    }
    numbers(args[0], part, 6);
    const struct sim_part p = { part[0], part[1], part[2], part[3], part[4], part[5] };
    const struct sim_trust trust = {
        .key = bytes_of(args[1], &size), .vendor_id = bytes_of(args[2], &ignored), .class_id = bytes_of(args[3], &ignored),
    };
    struct sim_trust t = trust;
    t.key_size = (uint32_t)size;
    api->setup(&p, &t);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(setup_obj, 4, 4, setup);

// plan((from, to, every, seeds, pairs, salt, random), ((operation, shape, seed), ...))
static mp_obj_t plan(mp_obj_t what, mp_obj_t cuts) {
    struct sim_plan p;
    uint32_t v[7];
    size_t count;
    mp_obj_t *items;
    numbers(what, v, 7);
    mp_obj_get_array(cuts, &count, &items);
    if (count > SIM_MAX_CUTS) {
        mp_raise_ValueError(NULL);
    }
    p = (struct sim_plan) { .from = v[0], .to = v[1], .every = v[2], .seeds = v[3], .pairs = v[4], .salt = v[5], .random = v[6] };
    p.cut_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        numbers(items[i], v, 3);
        p.cuts[i] = (struct sim_cut) { v[0], v[1], v[2] };
    }
    api->plan(&p);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(plan_obj, plan);

// read(offset, buf), write(offset, buf), erase(offset, n) -> 0, 1 failed, 2 power was cut
static mp_obj_t flash_read(mp_obj_t offset, mp_obj_t buf) {
    mp_buffer_info_t info;
    mp_get_buffer_raise(buf, &info, MP_BUFFER_WRITE);
    return MP_OBJ_NEW_SMALL_INT(api->read((uint32_t)number(offset), info.buf, (uint32_t)info.len));
}
static MP_DEFINE_CONST_FUN_OBJ_2(flash_read_obj, flash_read);

static mp_obj_t flash_write(mp_obj_t offset, mp_obj_t buf) {
    size_t n;
    const uint8_t *p = bytes_of(buf, &n);
    return MP_OBJ_NEW_SMALL_INT(api->write((uint32_t)number(offset), p, (uint32_t)n));
}
static MP_DEFINE_CONST_FUN_OBJ_2(flash_write_obj, flash_write);

static mp_obj_t flash_erase(mp_obj_t offset, mp_obj_t n) {
    return MP_OBJ_NEW_SMALL_INT(api->erase((uint32_t)number(offset), (uint32_t)number(n)));
}
static MP_DEFINE_CONST_FUN_OBJ_2(flash_erase_obj, flash_erase);

// boot(suspicious, console) -> (how, slot, trial, offset, payload_size), or None if power was cut. console: bytes or None
static mp_obj_t boot(mp_obj_t suspicious, mp_obj_t console) {
    struct sim_choice c;
    size_t n = 0;
    const uint8_t *image = console == mp_const_none ? NULL : bytes_of(console, &n);
    if (api->boot(mp_obj_is_true(suspicious), image, (uint32_t)n, &c) == SIM_CUT) {
        return mp_const_none;
    }
    mp_obj_t items[] = {
        MP_OBJ_NEW_SMALL_INT(c.how), MP_OBJ_NEW_SMALL_INT(c.slot), MP_OBJ_NEW_SMALL_INT(c.trial),
        mp_obj_new_int_from_uint(c.offset), mp_obj_new_int_from_uint(c.payload_size),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
static MP_DEFINE_CONST_FUN_OBJ_2(boot_obj, boot);

static mp_obj_t matches(mp_obj_t offset, mp_obj_t bytes) {
    size_t n;
    const uint8_t *p = bytes_of(bytes, &n);
    return mp_obj_new_bool(api->matches((uint32_t)number(offset), p, (uint32_t)n));
}
static MP_DEFINE_CONST_FUN_OBJ_2(matches_obj, matches);

// cells(before): the cells themselves, as a bytearray: what an oracle with a microscope would see, or saw before the last cut
static mp_obj_t cells(mp_obj_t before) {
    uint32_t size;
    uint8_t *p = api->cells(mp_obj_is_true(before), &size);
    return mp_obj_new_bytearray_by_ref(size, p);
}
static MP_DEFINE_CONST_FUN_OBJ_1(cells_obj, cells);

static mp_obj_t cut_words(void) {
    return mp_obj_new_str_from_cstr(api->cut_words());
}
static MP_DEFINE_CONST_FUN_OBJ_0(cut_words_obj, cut_words);

static mp_obj_t patch_area(mp_obj_t offset) {
    api->patch_area((uint32_t)number(offset));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(patch_area_obj, patch_area);

static mp_obj_t fault(mp_obj_t what, mp_obj_t a, mp_obj_t b) {
    api->fault((uint32_t)number(what), (uint32_t)number(a), (uint32_t)number(b));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(fault_obj, fault);

// life() -> (operations, cuts as text, phases that were cut, misdeed or None)
static mp_obj_t life(void) {
    char text[2048];
    const char *misdeed = api->misdeed();
    uint32_t n = api->path(text, sizeof(text));
    mp_obj_t items[] = {
        mp_obj_new_int_from_uint(api->operations()), mp_obj_new_str(text, n), MP_OBJ_NEW_SMALL_INT(api->cut_phases()),
        misdeed ? mp_obj_new_str_from_cstr(misdeed) : mp_const_none,
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
static MP_DEFINE_CONST_FUN_OBJ_0(life_obj, life);

// spawn(name) -> True in a fork of this life; False when that has ended
static mp_obj_t spawn(mp_obj_t name) {
    return mp_obj_new_bool(api->spawn(mp_obj_str_get_str(name)));
}
static MP_DEFINE_CONST_FUN_OBJ_1(spawn_obj, spawn);

static mp_obj_t end(mp_obj_t good) {
    api->end(mp_obj_is_true(good));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(end_obj, end);

// stats() -> (lives, failures, states, ((phase, erase, shape, count), ...))
static mp_obj_t stats(void) {
    const struct sim_stats *s = api->stats();
    mp_obj_t cuts = mp_obj_new_list(0, NULL);
    for (int phase = 0; phase < SIM_PHASES; phase++) {
        for (int erase = 0; erase < 2; erase++) {
            for (unsigned shape = 0; shape < SIM_SHAPES; shape++) {
                if (s->cuts[phase][erase][shape]) {
                    mp_obj_t row[] = {
                        MP_OBJ_NEW_SMALL_INT(phase), MP_OBJ_NEW_SMALL_INT(erase), MP_OBJ_NEW_SMALL_INT(shape),
                        mp_obj_new_int_from_ull(s->cuts[phase][erase][shape]),
                    };
                    mp_obj_list_append(cuts, mp_obj_new_tuple(4, row));
                }
            }
        }
    }
    mp_obj_t items[] = {
        mp_obj_new_int_from_ull(s->lives), mp_obj_new_int_from_ull(s->failures), mp_obj_new_int_from_ull(s->states), cuts,
    };
    return mp_obj_new_tuple(4, items);
}
static MP_DEFINE_CONST_FUN_OBJ_0(stats_obj, stats);

static mp_obj_t save_states(mp_obj_t path) {
    return MP_OBJ_NEW_SMALL_INT(api->save_states(mp_obj_str_get_str(path)));
}
static MP_DEFINE_CONST_FUN_OBJ_1(save_states_obj, save_states);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__sim) },
    { MP_ROM_QSTR(MP_QSTR_setup), MP_ROM_PTR(&setup_obj) },
    { MP_ROM_QSTR(MP_QSTR_plan), MP_ROM_PTR(&plan_obj) },
    { MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&flash_read_obj) },
    { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&flash_write_obj) },
    { MP_ROM_QSTR(MP_QSTR_erase), MP_ROM_PTR(&flash_erase_obj) },
    { MP_ROM_QSTR(MP_QSTR_boot), MP_ROM_PTR(&boot_obj) },
    { MP_ROM_QSTR(MP_QSTR_matches), MP_ROM_PTR(&matches_obj) },
    { MP_ROM_QSTR(MP_QSTR_cells), MP_ROM_PTR(&cells_obj) },
    { MP_ROM_QSTR(MP_QSTR_cut_words), MP_ROM_PTR(&cut_words_obj) },
    { MP_ROM_QSTR(MP_QSTR_patch_area), MP_ROM_PTR(&patch_area_obj) },
    { MP_ROM_QSTR(MP_QSTR_fault), MP_ROM_PTR(&fault_obj) },
    { MP_ROM_QSTR(MP_QSTR_life), MP_ROM_PTR(&life_obj) },
    { MP_ROM_QSTR(MP_QSTR_spawn), MP_ROM_PTR(&spawn_obj) },
    { MP_ROM_QSTR(MP_QSTR_end), MP_ROM_PTR(&end_obj) },
    { MP_ROM_QSTR(MP_QSTR_stats), MP_ROM_PTR(&stats_obj) },
    { MP_ROM_QSTR(MP_QSTR_save_states), MP_ROM_PTR(&save_states_obj) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t sim_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};
MP_REGISTER_MODULE(MP_QSTR__sim, sim_module);
