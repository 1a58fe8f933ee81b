// Interrupts, exceptions, time and the watchdog. One timer interrupt belongs to the ROM: it stands in for the
// watchdog's hardware, so it looks at the watchdog's registers TICK_MS apart. A program that masks interrupts for long stops it;
// the host sees that the ticks stand still and resets the board, and rom_start tells such a reset from the button.
// SPDX-License-Identifier: MIT
#include "rom.h"

#define EXCEPTION_INTERRUPT 4u
#define INTERRUPTS 32
#define WATCHDOG_UNIT_US 1600u // of the stages: stage n lasts 2^n units

static exception_handler exceptions[64] __attribute__((section(".exceptions")));
static struct { interrupt_handler handler; void *arg; } interrupts[INTERRUPTS];
static uint32_t enabled;
static uint32_t tick_counts;

static uint32_t intenable_set(uint32_t mask) {
    __asm__ volatile ("wsr %0, intenable; rsync" :: "a"(mask));
    return mask;
}

static void ccompare_set(uint32_t v) {
    __asm__ volatile ("wsr %0, ccompare0; rsync" :: "a"(v));
}

void timer_start(void) {
    tick_counts = BOARD_HZ / 1000 * TICK_MS;
    emulator.fed = emulator.ticks;
    emulator.last_tick = ccount();
    ccompare_set(emulator.last_tick + tick_counts);
    enabled = 1u << IRQ_TIMER;
    intenable_set(enabled);
    irq_unlock(0x20);
}

static uint32_t watchdog_ms(void) {
    if (emulator.settings.watchdog_ms) {
        return emulator.settings.watchdog_ms;
    }
    return ((1u << (WDT_STAGE0 & 15)) + (1u << (WDT_STAGE1 & 15))) * WATCHDOG_UNIT_US / 1000;
}

static void tick(void) {
    ccompare_set(ccount() + tick_counts);
    emulator.ticks++;
    emulator.last_tick = ccount();
    if (WDT_FEED == WDT_FEED_KEY || !(WDT_CONTROL & 1)) {
        WDT_FEED = 0;
        emulator.fed = emulator.ticks;
    } else if ((emulator.ticks - emulator.fed) * TICK_MS > watchdog_ms()) {
        machine_reset(REASON_WATCHDOG);
    }
    if (RTC_CONTROL & 0x80000000u) {
        machine_reset(REASON_SOFTWARE);
    }
}

static void unhandled(struct exception_frame *f, const char *what) {
    uint32_t address;
    __asm__ volatile ("rsr %0, excvaddr" : "=a"(address));
    ets_printf("%s (%d):\nepc1=0x%08x, excvaddr=0x%08x, a0=0x%08x, a1=0x%08x\n", what, f->cause, f->epc, address, f->a0, f->a1);
    irq_unlock(0x20);
    for (;;) { // as the chip: the watchdog ends it, if it is on
    }
}

static void interrupt(struct exception_frame *f) {
    uint32_t pending;
    __asm__ volatile ("rsr %0, interrupt" : "=a"(pending));
    pending &= enabled;
    if (pending & 1u << IRQ_TIMER) {
        tick();
        pending &= ~(1u << IRQ_TIMER);
    }
    for (int i = 0; pending; i++, pending >>= 1) {
        if (pending & 1) {
            if (!interrupts[i].handler) {
                unhandled(f, "Unhandled interrupt");
            }
            interrupts[i].handler(interrupts[i].arg, f);
        }
    }
}

void rom_exception(struct exception_frame *f) {
    if (f->cause == EXCEPTION_INTERRUPT) {
        interrupt(f);
    } else if (f->cause < 64 && exceptions[f->cause]) {
        exceptions[f->cause](f, (int)f->cause);
    } else {
        unhandled(f, "Fatal exception");
    }
}

void rom_double_exception(uint32_t cause, uint32_t depc) {
    struct exception_frame f = {.epc = depc, .cause = cause};
    unhandled(&f, "Double exception");
}

exception_handler _xtos_set_exception_handler(uint32_t n, exception_handler handler) {
    exception_handler old = exceptions[n & 63];
    exceptions[n & 63] = handler;
    return old;
}

uint32_t _xtos_ints_on(uint32_t mask) {
    uint32_t ps = irq_lock();
    uint32_t old = enabled;
    enabled = intenable_set(old | mask | 1u << IRQ_TIMER);
    irq_unlock(ps);
    return old;
}

uint32_t _xtos_ints_off(uint32_t mask) {
    uint32_t ps = irq_lock();
    uint32_t old = enabled;
    enabled = intenable_set((old & ~mask) | 1u << IRQ_TIMER);
    irq_unlock(ps);
    return old;
}

interrupt_handler _xtos_set_interrupt_handler_arg(uint32_t n, interrupt_handler handler, void *arg) {
    uint32_t ps = irq_lock();
    interrupt_handler old = interrupts[n % INTERRUPTS].handler;
    interrupts[n % INTERRUPTS].handler = handler;
    interrupts[n % INTERRUPTS].arg = arg;
    irq_unlock(ps);
    return old;
}

interrupt_handler _xtos_set_interrupt_handler(uint32_t n, interrupt_handler handler) {
    return _xtos_set_interrupt_handler_arg(n, handler, NULL);
}

void ets_isr_attach(int n, interrupt_handler handler, void *arg) {
    _xtos_set_interrupt_handler_arg((uint32_t)n, handler, arg);
}

void ets_isr_mask(uint32_t mask) {
    _xtos_ints_off(mask);
}

void ets_isr_unmask(uint32_t mask) {
    _xtos_ints_on(mask);
}

void ets_intr_lock(void) {
    __asm__ volatile ("rsil a2, 3" ::: "a2", "memory");
}

void ets_intr_unlock(void) {
    __asm__ volatile ("rsil a2, 0" ::: "a2", "memory");
}

void ets_wdt_enable(uint32_t mode, uint32_t stage0, uint32_t stage1) {
    WDT_CONTROL = 0;
    WDT_FEED = WDT_FEED_KEY;
    WDT_STAGE0 = stage0;
    WDT_STAGE1 = stage1;
    emulator.fed = emulator.ticks;
    WDT_CONTROL = mode << 1 | 1;
}

uint32_t ets_wdt_get_mode(void) {
    return WDT_CONTROL >> 1;
}

uint32_t ets_wdt_disable(void) {
    uint32_t mode = ets_wdt_get_mode();
    WDT_CONTROL = 0;
    WDT_FEED = WDT_FEED_KEY;
    return mode;
}

void ets_wdt_restore(uint32_t mode) {
    if (mode) {
        ets_wdt_enable(mode, WDT_STAGE0, WDT_STAGE1);
    }
}

void ets_wdt_init(void) {
    WDT_CONTROL = 0;
}

uint32_t xthal_get_ccount(void) {
    return ccount();
}

static uint32_t cpu_mhz = 80; // what the ROM believes; time here follows the board's own clock

void ets_update_cpu_frequency(uint32_t mhz) {
    cpu_mhz = mhz;
}

uint32_t ets_get_cpu_frequency(void) {
    return cpu_mhz;
}

void ets_delay_us(uint32_t us) {
    uint32_t start = ccount();
    uint32_t counts = BOARD_HZ / 1000000 * us;
    while (ccount() - start < counts) {
    }
}

static void (*user_start)(void);

void ets_set_user_start(void (*start)(void)) {
    user_start = start;
}
