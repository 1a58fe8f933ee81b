// The second boot: what stands between the chip's ROM and the image. Decisions are in the core; this is the rest.
// SPDX-License-Identifier: MIT
//
// second_boot.c and console.c, or noconsole.c in its place, are the same for every chip. A chip's file provides the functions
// below as far as second_boot_restart.
#ifndef OTA_SECOND_BOOT_H
#define OTA_SECOND_BOOT_H

#include "../core/boot.h"

// Keys, product and slots: made at build time from board.toml and the public keys.
extern const struct ota_boot_config second_boot_config;

extern const struct ota_io second_boot_flash;

// True if the last reset was forced: by the watchdog, or by the image's own crash handling.
bool second_boot_suspicious(void);

// A byte from the console within about `ms`, or -1. Feeds the watchdog.
int second_boot_get(uint32_t ms);
void second_boot_put(uint8_t c);

// Whether the chosen image can be loaded here.
bool second_boot_can_start(const struct ota_boot_choice *choice);

// Starts the chosen image; `slot_offset` is where its slot begins. Returns only if the image cannot be loaded here, with
// nothing of it in memory.
void second_boot_start(const struct ota_boot_choice *choice, uint32_t slot_offset);

// Restarts the chip.
void second_boot_restart(void);

// True if somebody at the serial port asks for the console.
bool second_boot_console_wanted(void);

// Serial recovery: receives an image by YMODEM into the slot that is not the newest confirmed one and, if it passes every
// check of a trial, marks it complete and confirmed: the operator's word stands for the application's.
// Returns after that, when it has refused one, when the sender gives up and after a minute of silence: the chip restarts,
// so a board that heard the key in noise, or whose flash failed for a while, comes back. Needs `b` as ota_boot_choose left it.
void second_boot_console(ota_boot_t *b);

void second_boot_main(void);

#endif
