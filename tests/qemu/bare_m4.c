// qemu-system-arm -M mps2-an386: semihosting, the CMSDK timer, memory at 0x21000000.
// SPDX-License-Identifier: MIT
#include "bare.h"

#include <string.h>

// The timer counts down at 25 MHz of virtual time, in which -icount shift=0 makes an instruction last 1 ns.
const uint32_t bare_instructions_per_tick = 40;
uint8_t *const bare_memory = (uint8_t *)0x21000000;

#define TIMER ((volatile uint32_t *)0x40000000)

static int semihost(int call, const void *block) {
    register int r0 __asm__("r0") = call;
    register const void *r1 __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

int bare_open(const char *path, int mode) {
    uint32_t n = 0;
    while (path[n]) {
        n++;
    }
    uint32_t block[3] = {(uint32_t)path, mode == BARE_WRITE ? 5 : 1, n};
    return semihost(1, block);
}

int bare_read(int fd, void *buf, uint32_t n) {
    uint32_t block[3] = {(uint32_t)fd, (uint32_t)buf, n};
    return (int)n - semihost(6, block);
}

void bare_write(int fd, const void *buf, uint32_t n) {
    uint32_t block[3] = {(uint32_t)fd, (uint32_t)buf, n};
    semihost(5, block);
}

void bare_exit(int status) {
    uint32_t block[2] = {0x20026, (uint32_t)status};
    semihost(0x20, block);
}

uint32_t bare_ticks(void) {
    return ~TIMER[1];
}

void reset(void);

void reset(void) {
    TIMER[2] = 0xffffffff;
    TIMER[1] = 0xffffffff;
    TIMER[0] = 1;
    bare_exit(main());
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static const void *const vectors[2] = {(void *)0x20100000, (void *)reset};
