// The mask ROM's own declarations.
// SPDX-License-Identifier: MIT
#ifndef ROM_H
#define ROM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../machine.h"
#include "../nor.h"

#define REASON_POWER_ON 1u
#define REASON_EXTERNAL 2u
#define REASON_SOFTWARE 3u
#define REASON_WATCHDOG 4u

#define TICK_MS 5u

// What the chip keeps at fixed places in its ROM data.
struct flashchip {
    uint32_t id, chip_size, block_size, sector_size, page_size, status_mask;
};
extern struct flashchip *flashchip;

struct exception_frame {
    uint32_t epc, ps, sar, unused, a0, a[14], cause, a1;
};
typedef void (*exception_handler)(struct exception_frame *frame, int cause);
typedef void (*interrupt_handler)(void *arg, struct exception_frame *frame);

// The emulator's memory: outside the chip's map, kept by every reset, zero when QEMU starts.
struct settings {
    char flash[256]; // path of the flash file
    char state[256]; // path of the flash chip's state (nor_t), or empty
    uint32_t size;   // of the flash, bytes
    uint32_t strict, cut_at, cut_kind, cut_seed;
    uint32_t watchdog_ms; // instead of what the image asks for; 0: as it asks
};
struct emulator {
    uint32_t ticks;     // of TICK_MS; first, where the host looks whether interrupts still come (tools/mpota/emulate.py)
    uint32_t last_tick; // CCOUNT, which goes on over resets
    uint32_t started;  // power has been on
    uint32_t reason;   // of the last reset
    uint32_t pending;  // of the next one
    int flash, state;  // host file descriptors
    uint32_t cache_on; // the window is mapped
    uint32_t bank;     // loaded into the window, plus one; 0: none
    uint32_t dirty_from, dirty_to; // flash offsets changed since then
    uint32_t fed;      // tick at which the watchdog was fed last
    uint32_t pll;      // the clock is set for a 26 MHz crystal; only a reset of the chip undoes that
    struct settings settings;
    nor_t nor;
};
extern struct emulator emulator;

void settings_read(struct settings *s);
void flash_start(void);
void window_reset(void);
void timer_start(void);
void uart_start(void);
void *memcpy(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
size_t strlen(const char *s);
int strncmp(const char *a, const char *b, size_t n);
int ets_printf(const char *format, ...);
void uart_div_modify(uint32_t uart, uint32_t divisor);
int SPIRead(uint32_t address, void *dst, uint32_t n);
void rom_enter(uint32_t entry) __attribute__((noreturn));
void machine_reset(uint32_t reason) __attribute__((noreturn));

// Stops QEMU with a message on its standard error: what would hang or corrupt the chip, or end of power.
void machine_stop(int status, const char *what, uint32_t value) __attribute__((noreturn));

#endif
