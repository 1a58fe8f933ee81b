// qemu-system-xtensa -M lx60-nommu -cpu lx106: simcall, cycle counter, memory at 0x60000000.
// SPDX-License-Identifier: MIT
#include "bare.h"

// The counter runs at 40 MHz of virtual time, in which -icount shift=0 makes an instruction last 1 ns.
const uint32_t bare_instructions_per_tick = 25;
uint8_t *const bare_memory = (uint8_t *)0x60000000;

static int simcall(int call, int a, int b, int c) {
    register int a2 __asm__("a2") = call;
    register int a3 __asm__("a3") = a;
    register int a4 __asm__("a4") = b;
    register int a5 __asm__("a5") = c;
    __asm__ volatile("simcall" : "+r"(a2), "+r"(a3) : "r"(a4), "r"(a5) : "memory");
    return a2;
}

int bare_open(const char *path, int mode) {
    return simcall(5, (int)path, mode == BARE_WRITE ? 0x241 : 0, 0644);
}

int bare_read(int fd, void *buf, uint32_t n) {
    return simcall(3, fd, (int)buf, (int)n);
}

void bare_write(int fd, const void *buf, uint32_t n) {
    simcall(4, fd, (int)buf, (int)n);
}

void bare_exit(int status) {
    simcall(1, status, 0, 0);
}

uint32_t bare_ticks(void) {
    uint32_t v;
    __asm__ volatile("rsr %0, ccount" : "=r"(v));
    return v;
}

__asm__(".section .start, \"ax\"\n"
        ".literal_position\n"
        ".align 4\n"
        ".global _start\n"
        "_start:\n"
        "  movi a1, 0x3fffff00\n"
        "  movi a0, main\n"
        "  callx0 a0\n"
        "  mov a3, a2\n"
        "  movi a2, 1\n"
        "  simcall\n");
