// Resets and their causes, told as the SDK tells them; the watchdog; exceptions.
// SPDX-License-Identifier: MIT
#include "port.h"
#include "boards/esp8266/silicon/chip.h"

#define SYSTEM_REASON REG32(0x60001100) // RTC system memory: why the SDK restarted
#define ROM_RESET_VECTOR 0x40000080u

#define WATCHDOG_MODE 4
#define WATCHDOG_STAGE 10 // twice 2^10 x 1.6 ms: 3.3 s, the SDK's soft watchdog

enum reset_cause reset_cause;
bool watchdog_by_hand;
static uint64_t lent_until; // us

static enum reset_cause from_rom(uint32_t reason) {
    static const uint8_t causes[] = {CAUSE_POWER_ON, CAUSE_POWER_ON, CAUSE_EXTERNAL, CAUSE_SOFT, CAUSE_WATCHDOG, CAUSE_DEEP_SLEEP};
    return reason < sizeof(causes) ? causes[reason] : CAUSE_EXTERNAL;
}

void system_restart(enum reset_cause cause) {
    SYSTEM_REASON = cause;
    irq_lock();
    ((void (*)(void))ROM_RESET_VECTOR)();
    __builtin_unreachable();
}

static void on_exception(void *frame, int cause) {
    uint32_t address;
    __asm__ volatile ("rsr %0, excvaddr" : "=a"(address));
    ROM_PRINTF("Fatal exception (%d):\nepc1=0x%08x, excvaddr=0x%08x\n", cause, *(uint32_t *)frame, address);
    system_restart(CAUSE_EXCEPTION);
}

void reset_start(void) {
    uint32_t reason = SYSTEM_REASON;
    bool by_program = reason >= CAUSE_EXCEPTION && reason <= CAUSE_SOFT;
    reset_cause = by_program ? (enum reset_cause)reason : from_rom(handover.reset_reason);
    SYSTEM_REASON = 0;
    static const uint8_t causes[] = {0, 2, 3, 6, 9, 15, 20, 28, 29};
    for (unsigned i = 0; i < sizeof(causes); i++) {
        _xtos_set_exception_handler(causes[i], on_exception);
    }
}

void watchdog_start(void) {
    ets_wdt_enable(WATCHDOG_MODE, WATCHDOG_STAGE, WATCHDOG_STAGE);
}

void watchdog_feed(void) {
    WDT_FEED = WDT_FEED_KEY;
}

void mpota_lend_watchdog(bool lent) {
    lent_until = lent ? time_us() + MPOTA_LENT_MS * 1000ull : 0;
}

bool watchdog_is_lent(void) {
    return time_us() < lent_until;
}
