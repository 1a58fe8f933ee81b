// What a firmware for the ESP8266 provides to modesp8266.c.
// SPDX-License-Identifier: MIT
#ifndef MPOTA_CHIP_H
#define MPOTA_CHIP_H

#include <stdbool.h>
#include <stdint.h>

// Erases the flash's block of 64 KiB with this number. 0, or the chip failed.
int mpota_erase_block(uint32_t block);

// Lent, the system feeds the watchdog while it waits for an event, and so for whatever never comes: for so long at most.
#define MPOTA_LENT_MS 30000u
void mpota_lend_watchdog(bool lent);

#endif
