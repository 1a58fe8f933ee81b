// A Linux process whose console is standard input and output.
// SPDX-License-Identifier: MIT
#include "py/builtin.h"
#include "py/gc.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stackctrl.h"
#include "shared/readline/readline.h"
#include "shared/runtime/pyexec.h"

#define LINUX_READ 12
#define LINUX_WRITE 13
#define LINUX_EXIT 118

long linux(long number, long a, long b, long c);
void windows_spill(void);

static uint32_t heap[1024 * 1024 / 4];
static void *stack_top;

void exit(int status) {
    for (;;) {
        linux(LINUX_EXIT, status, 0, 0);
    }
}

void abort(void) {
    exit(1);
}

// What the ESP8266 has from libgcc instead of its ROM; GCC 13 calls the second. The first
// goes by way of the unsigned one: a - a / b * b would be this function again to the compiler.
uint32_t __umodsi3(uint32_t a, uint32_t b);
int __modsi3(int a, int b);
int __modsi3(int a, int b) {
    uint32_t rest = __umodsi3(a < 0 ? -(uint32_t)a : (uint32_t)a, b < 0 ? -(uint32_t)b : (uint32_t)b);
    return (int)(a < 0 ? -rest : rest);
}

uint64_t __bswapdi2(uint64_t v);
uint64_t __bswapdi2(uint64_t v) {
    union { uint64_t whole; uint8_t byte[8]; } in = {v}, out;
    for (int i = 0; i < 8; i++) {
        out.byte[i] = in.byte[7 - i];
    }
    return out.whole;
}

void nlr_jump_fail(void *val) {
    (void)val;
    abort();
}

int mp_hal_stdin_rx_chr(void) {
    unsigned char c;
    if (linux(LINUX_READ, 0, (long)&c, 1) != 1) {
        exit(0);
    }
    return c;
}

mp_uint_t mp_hal_stdout_tx_strn(const char *s, size_t n) {
    return linux(LINUX_WRITE, 1, (long)s, n);
}

mp_uint_t mp_hal_ticks_ms(void) {
    return 0;
}

void gc_collect(void) {
    void *here;
    windows_spill();
    gc_collect_start();
    gc_collect_root(&here, (void **)stack_top - &here);
    gc_collect_end();
}

void port_main(void *stack) {
    stack_top = stack;
    mp_stack_set_top(stack);
    mp_stack_set_limit(256 * 1024);
    for (;;) {
        gc_init(heap, heap + MP_ARRAY_SIZE(heap));
        mp_init();
        readline_init0();
        while ((pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? pyexec_raw_repl() : pyexec_friendly_repl()) == 0) {
        }
        mp_hal_stdout_tx_strn("MPY: soft reboot\r\n", 18);
        mp_deinit();
    }
}
