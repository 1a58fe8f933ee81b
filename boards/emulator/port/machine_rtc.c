// machine.RTC: date and time, and the user's part of RTC memory.
// SPDX-License-Identifier: MIT
#include "port.h"

#include "py/runtime.h"
#include "shared/timeutils/timeutils.h"

// Words of RTC user memory, laid out as upstream has them; the last four belong to the second boot.
#define WORDS ((volatile uint32_t *)RTC_USER_MEMORY)
#define WORD_MAGIC 3
#define WORD_LENGTH 4
#define WORD_MEMORY 5
#define MAGIC 0x75507921u
#define MEMORY_BYTES ((BOARD_RTC_HANDOVER - RTC_USER_MEMORY) - 4 * WORD_MEMORY)

extern const mp_obj_type_t machine_rtc_type;
static const mp_obj_base_t the_rtc = {&machine_rtc_type};

static mp_obj_t rtc_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    (void)type, (void)args;
    mp_arg_check_num(n_args, n_kw, 0, 0, false);
    return MP_OBJ_FROM_PTR(&the_rtc);
}

static mp_obj_t rtc_datetime(size_t n_args, const mp_obj_t *args) {
    if (n_args == 1) {
        timeutils_struct_time_t tm;
        uint64_t us = rtc_us_since_epoch();
        timeutils_seconds_since_epoch_to_struct_time(us / 1000000, &tm);
        mp_obj_t tuple[8] = {
            mp_obj_new_int(tm.tm_year), mp_obj_new_int(tm.tm_mon), mp_obj_new_int(tm.tm_mday), mp_obj_new_int(tm.tm_wday),
            mp_obj_new_int(tm.tm_hour), mp_obj_new_int(tm.tm_min), mp_obj_new_int(tm.tm_sec), mp_obj_new_int(us / 1000 % 1000),
        };
        return mp_obj_new_tuple(8, tuple);
    }
    mp_obj_t *items;
    mp_obj_get_array_fixed_n(args[1], 8, &items);
    uint64_t seconds = timeutils_seconds_since_epoch(mp_obj_get_int(items[0]), mp_obj_get_int(items[1]), mp_obj_get_int(items[2]),
        mp_obj_get_int(items[4]), mp_obj_get_int(items[5]), mp_obj_get_int(items[6]));
    rtc_set_us_since_epoch(seconds * 1000000 + (uint64_t)mp_obj_get_int(items[7]) * 1000);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(rtc_datetime_obj, 1, 2, rtc_datetime);

static mp_obj_t rtc_memory(size_t n_args, const mp_obj_t *args) {
    if (n_args == 1) {
        uint32_t n = WORDS[WORD_MAGIC] == MAGIC && WORDS[WORD_LENGTH] <= MEMORY_BYTES ? WORDS[WORD_LENGTH] : 0;
        vstr_t vstr;
        vstr_init_len(&vstr, n);
        for (uint32_t i = 0; i < n; i++) {
            vstr.buf[i] = (char)(WORDS[WORD_MEMORY + i / 4] >> 8 * (i % 4));
        }
        return mp_obj_new_bytes_from_vstr(&vstr);
    }
    mp_buffer_info_t buf;
    mp_get_buffer_raise(args[1], &buf, MP_BUFFER_READ);
    if (buf.len > MEMORY_BYTES) {
        mp_raise_ValueError(MP_ERROR_TEXT("buffer too long"));
    }
    WORDS[WORD_MAGIC] = MAGIC;
    WORDS[WORD_LENGTH] = buf.len;
    for (uint32_t i = 0; i < buf.len; i += 4) {
        uint32_t word = 0;
        for (uint32_t k = 0; k < 4 && i + k < buf.len; k++) {
            word |= (uint32_t)((const uint8_t *)buf.buf)[i + k] << 8 * k;
        }
        WORDS[WORD_MEMORY + i / 4] = word;
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(rtc_memory_obj, 1, 2, rtc_memory);

static const mp_rom_map_elem_t rtc_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_datetime), MP_ROM_PTR(&rtc_datetime_obj) },
    { MP_ROM_QSTR(MP_QSTR_memory), MP_ROM_PTR(&rtc_memory_obj) },
};
static MP_DEFINE_CONST_DICT(rtc_locals, rtc_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(machine_rtc_type, MP_QSTR_RTC, MP_TYPE_FLAG_NONE, make_new, rtc_make_new, locals_dict, &rtc_locals);
