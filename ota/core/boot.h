// The second boot's decision (DESIGN.md, "Second boot"): which slot to start, and what to write first.
// SPDX-License-Identifier: MIT
#ifndef OTA_BOOT_H
#define OTA_BOOT_H

#include "image.h"
#include "trailer.h"

#define OTA_BOOT_SLOTS 2

struct ota_slot {
    uint32_t offset, size; // bytes, sector-aligned; the last sector is the trailer
};

struct ota_boot_config {
    struct ota_slot slots[OTA_BOOT_SLOTS];
    struct ota_trust trust; // min_counter is ignored: the confirmed slot gives the floor
    uint8_t tries;          // trial boots before a slot is rejected; 0 means 3
    bool suspicious;        // last reset was the watchdog's: hash a confirmed slot before starting it
    uint8_t unloadable;     // bit for each slot whose image could not be loaded since the reset: not for rules 2 and 3
};

enum ota_boot_how {
    OTA_BOOT_CONSOLE = 0,   // nothing to start
    OTA_BOOT_CONFIRMED = 1, // a confirmed slot
    OTA_BOOT_TRIAL = 2,     // a trial: the caller arms the watchdog
    OTA_BOOT_VERIFIED = 3,  // no mark speaks for it, but the image verifies (a factory image)
};

struct ota_boot_choice {
    enum ota_boot_how how;
    uint8_t slot;       // 0 or 1, unless the console
    uint8_t trial;      // which trial this is, from 1; else 0
    uint32_t offset;    // of the payload in flash
    uint32_t payload_size;
};

// Working memory for one decision.
typedef struct {
    ota_trailer_t trailer[OTA_BOOT_SLOTS];
    ota_image_t image;
    ota_rsa_work_t rsa;
    uint32_t chunk[64];
} ota_boot_t;

// Decides, and writes the marks that must be in flash before the jump (tried, rejected, missing second copies).
// A trial is never started unrecorded: if its tried mark cannot be written the rules go on without it. A trailer that
// cannot be read counts as blank, so rule 3 is left to its slot. A slot whose complete mark carries another security
// counter than its image is rejected with 1009, one that holds a patch with 1002. Nothing is ever erased.
// OTA_OK with *choice filled, or OTA_E_FLASH when no trailer can be read.
int ota_boot_choose(ota_boot_t *b, const struct ota_io *io, const struct ota_boot_config *c, struct ota_boot_choice *choice) OTA_MUST_CHECK;

#endif
