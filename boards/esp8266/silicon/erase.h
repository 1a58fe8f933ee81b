// What a firmware for the ESP8266 provides to modesp8266.c.
// SPDX-License-Identifier: MIT
#ifndef MPOTA_ERASE_H
#define MPOTA_ERASE_H

#include <stdint.h>

// Erases the flash's block of 64 KiB with this number. 0, or the chip failed.
int mpota_erase_block(uint32_t block);

#endif
