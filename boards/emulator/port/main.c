// Start of the firmware in flash, and the loop of REPL and soft resets.
// SPDX-License-Identifier: MIT
#include "port.h"

#include "py/builtin.h"
#include "py/compile.h"
#include "py/gc.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stackctrl.h"
#include "shared/readline/readline.h"
#include "shared/runtime/pyexec.h"

#include "lwip/init.h"

#define STACK_TOP 0x40000000u
#define STACK_LIMIT 8192u
#define HEAP_BYTES (38 * 1024)

static uint32_t heap[HEAP_BYTES / 4];

void port_native_reset(void);

static void start_python(void) {
    mp_stack_set_top((void *)STACK_TOP);
    mp_stack_set_limit(STACK_LIMIT);
    port_native_reset();
    gc_init(heap, heap + MP_ARRAY_SIZE(heap));
    mp_init();
    mp_obj_list_append(mp_sys_path, MP_OBJ_NEW_QSTR(MP_QSTR__slash_lib));
    mp_obj_list_append(mp_sys_path, MP_OBJ_NEW_QSTR(MP_QSTR__slash_));
    readline_init0();
    pyexec_frozen_module("_boot.py", false);
    int result = pyexec_file_if_exists("boot.py");
    if (pyexec_mode_kind == PYEXEC_MODE_FRIENDLY_REPL && result != 0 && !(result & PYEXEC_FORCED_EXIT)) {
        pyexec_file_if_exists("main.py");
    }
}

static void repl(void) {
    for (;;) {
        int end = pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? pyexec_raw_repl() : pyexec_friendly_repl();
        if (end != 0) {
            return;
        }
    }
}

int main(void) {
    settings_start();
    reset_start();
    watchdog_start();
    uart_start();
    lwip_init();
    wlan_start();
    for (;;) {
        start_python();
        mp_hal_stdout_tx_str("\r\n");
        repl();
        mp_hal_stdout_tx_str("MPY: soft reboot\r\n");
        gc_sweep_all();
        mp_deinit();
    }
}

void gc_collect(void) {
    uint32_t saved[4]; // registers that functions keep for their callers
    __asm__ volatile ("s32i a12, %0, 0; s32i a13, %0, 4; s32i a14, %0, 8; s32i a15, %0, 12" :: "a"(saved) : "memory");
    gc_collect_start();
    gc_collect_root((void **)saved, (STACK_TOP - (uint32_t)saved) / 4);
    gc_collect_end();
    port_collected();
}

void nlr_jump_fail(void *val) {
    (void)val;
    ROM_PRINTF("NLR jump failed\n");
    system_restart(CAUSE_EXCEPTION);
}

void abort(void) {
    ROM_PRINTF("abort\n");
    system_restart(CAUSE_EXCEPTION);
}
