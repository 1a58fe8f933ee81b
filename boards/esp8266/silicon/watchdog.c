// On the chip: upstream's machine.WDT() sets a flag for good, and then only its feed() counts, not that the system waits for an event.
// SPDX-License-Identifier: MIT
#include "os_type.h"
#include "osapi.h"
#include "etshal.h"
#include "ets_alt_task.h"
#include "user_interface.h"

#include "chip.h"

static os_timer_t lender;

static void take_back(void *unused) {
    (void)unused;
    ets_loop_dont_feed_sw_wdt = 1;
}

void mpota_lend_watchdog(bool lent) {
    os_timer_disarm(&lender);
    ets_loop_dont_feed_sw_wdt = !lent;
    if (lent) {
        os_timer_setfn(&lender, take_back, NULL);
        os_timer_arm(&lender, MPOTA_LENT_MS, false);
    }
}
