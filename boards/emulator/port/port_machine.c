// The port's part of `machine`; included by extmod/modmachine.c.
// SPDX-License-Identifier: MIT
#include "port.h"

extern const mp_obj_type_t machine_rtc_type;

#define MICROPY_PY_MACHINE_EXTRA_GLOBALS \
    { MP_ROM_QSTR(MP_QSTR_RTC), MP_ROM_PTR(&machine_rtc_type) }, \
    { MP_ROM_QSTR(MP_QSTR_PWRON_RESET), MP_ROM_INT(CAUSE_POWER_ON) }, \
    { MP_ROM_QSTR(MP_QSTR_HARD_RESET), MP_ROM_INT(CAUSE_EXTERNAL) }, \
    { MP_ROM_QSTR(MP_QSTR_DEEPSLEEP_RESET), MP_ROM_INT(CAUSE_DEEP_SLEEP) }, \
    { MP_ROM_QSTR(MP_QSTR_WDT_RESET), MP_ROM_INT(CAUSE_WATCHDOG) }, \
    { MP_ROM_QSTR(MP_QSTR_SOFT_RESET), MP_ROM_INT(CAUSE_SOFT) },

#define CPU_HZ 80000000

static void mp_machine_idle(void) {
    port_wait();
    mp_event_handle_nowait();
}

NORETURN static void mp_machine_reset(void) {
    system_restart(CAUSE_SOFT);
}

static mp_int_t mp_machine_reset_cause(void) {
    return reset_cause;
}

static mp_obj_t mp_machine_unique_id(void) {
    uint32_t id = chip_id();
    return mp_obj_new_bytes((const byte *)&id, sizeof(id));
}

static mp_obj_t mp_machine_get_freq(void) {
    return mp_obj_new_int(CPU_HZ);
}

static void mp_machine_set_freq(size_t n_args, const mp_obj_t *args) {
    mp_int_t hz = mp_obj_get_int(args[0]);
    if (n_args != 1 || (hz != CPU_HZ && hz != 2 * CPU_HZ)) {
        mp_raise_ValueError(MP_ERROR_TEXT("frequency can only be either 80Mhz or 160MHz"));
    }
}

static void mp_machine_lightsleep(size_t n_args, const mp_obj_t *args) {
    mp_hal_delay_ms(n_args ? (mp_uint_t)MAX(0, mp_obj_get_int(args[0])) : UINT32_MAX);
}

NORETURN static void mp_machine_deepsleep(size_t n_args, const mp_obj_t *args) {
    mp_machine_lightsleep(n_args, args);
    system_restart(CAUSE_DEEP_SLEEP);
}
