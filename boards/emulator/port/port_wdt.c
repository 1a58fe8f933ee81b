// machine.WDT: one timer of fixed length; once it exists, only its feed() counts. Included by extmod/machine_wdt.c.
// SPDX-License-Identifier: MIT
#include "port.h"

typedef struct _machine_wdt_obj_t {
    mp_obj_base_t base;
} machine_wdt_obj_t;

static machine_wdt_obj_t the_watchdog = {{&machine_wdt_type}};

static machine_wdt_obj_t *mp_machine_wdt_make_new_instance(mp_int_t id, mp_int_t timeout_ms) {
    if (id != 0 || timeout_ms != 5000) { // the chip's is not adjustable
        mp_raise_ValueError(NULL);
    }
    watchdog_by_hand = true;
    watchdog_feed();
    return &the_watchdog;
}

static void mp_machine_wdt_feed(machine_wdt_obj_t *self) {
    (void)self;
    watchdog_feed();
}
