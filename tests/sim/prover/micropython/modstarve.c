// `_starve`: allocations that fail. The linker puts the functions below before the heap's own (mpconfigvariant.mk).
// SPDX-License-Identifier: MIT
#include "py/gc.h"
#include "py/runtime.h"

void *__real_gc_alloc(size_t bytes, unsigned int flags);
void *__real_gc_realloc(void *p, size_t bytes, bool may_move);
void *__wrap_gc_alloc(size_t bytes, unsigned int flags);
void *__wrap_gc_realloc(void *p, size_t bytes, bool may_move);

static bool is_inside;                      // the device's code runs, and not what stands for the world around it
static size_t made, first, behind, failed; // of its allocations those in [first, behind) fail; made: so far

static bool fails(void) {
    if (!is_inside) {
        return false;
    }
    made++;
    const bool now = made >= first && made < behind;
    failed += now;
    return now;
}

void *__wrap_gc_alloc(size_t bytes, unsigned int flags) {
    return fails() ? NULL : __real_gc_alloc(bytes, flags);
}

void *__wrap_gc_realloc(void *p, size_t bytes, bool may_move) {
    const bool grows = p == NULL ? bytes > 0 : bytes > gc_nbytes(p);
    return grows && fails() ? NULL : __real_gc_realloc(p, bytes, may_move);
}

// arm(first, count): the device's allocations fail from this one of its life on, the first is 1, and so many; count 0: none
static mp_obj_t arm(mp_obj_t from, mp_obj_t count) {
    first = (size_t)mp_obj_get_int(from);
    behind = first + (size_t)mp_obj_get_int(count);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(arm_obj, arm);

// counts() -> (allocations the device made, those that failed)
static mp_obj_t counts(void) {
    mp_obj_t items[] = { mp_obj_new_int_from_uint(made), mp_obj_new_int_from_uint(failed) };
    return mp_obj_new_tuple(2, items);
}
static MP_DEFINE_CONST_FUN_OBJ_0(counts_obj, counts);

// inside(f), outside(f): the function or method f, as code of the device or of the world around it
typedef struct {
    mp_obj_base_t base;
    mp_obj_t f;
    bool is_inside;
} side_t;

static mp_obj_t side_call(mp_obj_t self_in, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    const side_t *self = MP_OBJ_TO_PTR(self_in);
    const bool before = is_inside;
    nlr_buf_t nlr;
    is_inside = self->is_inside;
    if (nlr_push(&nlr) == 0) {
        mp_obj_t result = mp_call_function_n_kw(self->f, n_args, n_kw, args);
        nlr_pop();
        is_inside = before;
        return result;
    }
    is_inside = before;
    nlr_jump(nlr.ret_val);
}

static MP_DEFINE_CONST_OBJ_TYPE(side_type, MP_QSTR_side, MP_TYPE_FLAG_BINDS_SELF, call, side_call);

static mp_obj_t side(mp_obj_t f, bool is_inside_f) {
    side_t *self = mp_obj_malloc(side_t, &side_type);
    self->f = f;
    self->is_inside = is_inside_f;
    return MP_OBJ_FROM_PTR(self);
}

static mp_obj_t inside(mp_obj_t f) {
    return side(f, true);
}
static MP_DEFINE_CONST_FUN_OBJ_1(inside_obj, inside);

static mp_obj_t outside(mp_obj_t f) {
    return side(f, false);
}
static MP_DEFINE_CONST_FUN_OBJ_1(outside_obj, outside);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__starve) },
    { MP_ROM_QSTR(MP_QSTR_arm), MP_ROM_PTR(&arm_obj) },
    { MP_ROM_QSTR(MP_QSTR_counts), MP_ROM_PTR(&counts_obj) },
    { MP_ROM_QSTR(MP_QSTR_inside), MP_ROM_PTR(&inside_obj) },
    { MP_ROM_QSTR(MP_QSTR_outside), MP_ROM_PTR(&outside_obj) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t starve_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};
MP_REGISTER_MODULE(MP_QSTR__starve, starve_module);
