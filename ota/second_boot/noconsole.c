// A second boot without serial recovery: it listens to nobody, and a board on which nothing boots tries again.
// SPDX-License-Identifier: MIT
#include "second_boot.h"

bool second_boot_console_wanted(void) {
    return false;
}

void second_boot_console(ota_boot_t *b) {
    (void)b;
}
