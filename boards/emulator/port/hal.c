// Time, waiting, memory for native code, and the settings QEMU passes.
// SPDX-License-Identifier: MIT
#include "port.h"

#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/persistentcode.h"
#include "py/runtime.h"

#include <string.h>

int errno;

// ---- time: a 32-bit cycle counter, extended each time it is read (at least once a tick)

static uint64_t now_us;
static uint32_t last_count;
static int64_t epoch_offset_us;

uint64_t time_us(void) {
    uint32_t per_us = BOARD_HZ / 1000000;
    uint32_t state = irq_lock();
    uint32_t passed = (ccount() - last_count) / per_us;
    last_count += passed * per_us;
    now_us += passed;
    uint64_t now = now_us;
    irq_unlock(state);
    return now;
}

mp_uint_t mp_hal_ticks_us(void) {
    return (mp_uint_t)time_us();
}

mp_uint_t mp_hal_ticks_ms(void) {
    return (mp_uint_t)(time_us() / 1000);
}

mp_uint_t mp_hal_ticks_cpu(void) {
    return ccount();
}

uint64_t rtc_us_since_epoch(void) {
    return time_us() + (uint64_t)epoch_offset_us;
}

void rtc_set_us_since_epoch(uint64_t us) {
    epoch_offset_us = (int64_t)(us - time_us());
}

uint64_t mp_hal_time_ns(void) {
    return rtc_us_since_epoch() * 1000;
}

void mp_hal_delay_us(mp_uint_t us) {
    uint64_t end = time_us() + us;
    while (time_us() < end) {
        mp_event_handle_nowait();
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    uint64_t end = time_us() + (uint64_t)ms * 1000;
    for (uint64_t now; (now = time_us()) < end;) {
        mp_event_handle_nowait();
        if (end - now > 1000) { // until the ROM's next tick: a sleep may last one of them longer
            port_wait();
        }
    }
}

void port_poll(void) {
    if (!watchdog_by_hand || watchdog_is_lent()) {
        watchdog_feed();
    }
    time_us();
    wlan_poll();
}

// Interrupts stay masked between the look and the sleep, so none is slept through.
void port_wait(void) {
    uint32_t state = irq_lock();
    if (!uart_has_input() && MP_STATE_VM(sched_state) != MP_SCHED_PENDING) {
        uint32_t start = ccount();
        __asm__ volatile ("waiti 0" ::: "memory");
        port_spent.waiting += ccount() - start;
    }
    irq_unlock(state);
}

struct spent port_spent;

uint32_t port_irq_lock(void) {
    return irq_lock();
}

void port_irq_unlock(uint32_t state) {
    irq_unlock(state);
}

// Not random in any strong sense: the machine has no source of noise but its clock.
uint32_t port_random(void) {
    static uint32_t state;
    state = state * 1664525u + 1013904223u + ccount();
    return state ^ state >> 16;
}

// ---- native code goes to the instruction RAM the image left free

extern uint32_t iram_free[], iram_end[];
static uint8_t *native_next;

void *port_commit_native(void *code, size_t n, void *relocations) {
    if (native_next == NULL) {
        native_next = (uint8_t *)iram_free;
    }
    n = (n + 3) & ~3u;
    if (n > (size_t)((uint8_t *)iram_end - native_next)) {
        mp_raise_msg_varg(&mp_type_MemoryError, MP_ERROR_TEXT("memory allocation failed, allocating %u bytes for native code"), (uint)n);
    }
    void *at = native_next;
    if (relocations) {
        mp_native_relocate(relocations, code, (uintptr_t)at);
    }
    memcpy(at, code, n);
    native_next += n;
    return at;
}

void port_native_reset(void) {
    native_next = NULL;
}

// ---- settings, kept outside the chip's memory

#define SETTINGS ((char **)0x50100000)
static int settings;

void settings_start(void) {
    settings = simcall(SIM_ARGC, 0, 0, 0);
    simcall(SIM_ARGV, (uint32_t)SETTINGS, 0, 0);
}

const char *setting(const char *name) {
    size_t n = strlen(name);
    for (int i = 0; i < settings; i++) {
        if (strncmp(SETTINGS[i], name, n) == 0 && SETTINGS[i][n] == '=') {
            return SETTINGS[i] + n + 1;
        }
    }
    return NULL;
}
