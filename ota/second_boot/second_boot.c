// The second boot's one decision loop (DESIGN.md, "Second boot").
// SPDX-License-Identifier: MIT
#include "second_boot.h"

#define MAX_ATTEMPTS 8u // each costs a slot a trial, or ends for a slot here: more cannot help

static ota_boot_t work;

static void start_chosen(void) {
    struct ota_boot_config config = second_boot_config;
    config.suspicious = second_boot_suspicious();
    for (uint32_t i = 0; i < MAX_ATTEMPTS; i++) {
        struct ota_boot_choice choice;
        if (ota_boot_choose(&work, &second_boot_flash, &config, &choice) != OTA_OK || choice.how == OTA_BOOT_CONSOLE) {
            return;
        }
        second_boot_start(&choice, config.slots[choice.slot].offset);
        config.suspicious = true; // signed, but not loadable: look at the others with care
        config.unloadable |= (uint8_t)(1u << choice.slot);
    }
}

void second_boot_main(void) {
    if (second_boot_console_wanted()) {
        // Only for what the trailers say; nothing is started.
        for (uint8_t slot = 0; slot < OTA_BOOT_SLOTS; slot++) {
            const struct ota_slot *at = &second_boot_config.slots[slot];
            if (ota_trailer_read(&work.trailer[slot], &second_boot_flash, at->offset + at->size) != OTA_OK) {
                ota_trailer_init(&work.trailer[slot]);
            }
        }
    } else {
        start_chosen();
    }
    second_boot_console(&work);
    second_boot_restart();
}
