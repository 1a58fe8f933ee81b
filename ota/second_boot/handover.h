// What the second boot tells the image it starts (SPEC.md, section 6): four words at the end of RTC user memory.
// SPDX-License-Identifier: MIT
#ifndef OTA_HANDOVER_H
#define OTA_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#define OTA_HANDOVER_MAGIC 0x544f504du // "MPOT"

struct ota_handover {
    uint8_t slot;         // 0 or 1
    uint8_t trial;        // which trial, from 1; 0: none
    uint8_t how;          // enum ota_boot_how
    uint8_t reset_reason; // of the chip's ROM; after a restart by a jump that of the reset before
    uint32_t offset;      // of the slot in flash
};

// RTC memory takes whole words only.
static inline void ota_handover_put(volatile uint32_t *words, const struct ota_handover *h) {
    uint32_t what = (uint32_t)h->slot | (uint32_t)h->trial << 8 | (uint32_t)h->how << 16 | (uint32_t)h->reset_reason << 24;
    words[0] = OTA_HANDOVER_MAGIC;
    words[1] = what;
    words[2] = h->offset;
    words[3] = ~(OTA_HANDOVER_MAGIC ^ what ^ h->offset);
}

// False: started by something else.
static inline bool ota_handover_get(const volatile uint32_t *words, struct ota_handover *h) {
    uint32_t what = words[1];
    h->slot = (uint8_t)what;
    h->trial = (uint8_t)(what >> 8);
    h->how = (uint8_t)(what >> 16);
    h->reset_reason = (uint8_t)(what >> 24);
    h->offset = words[2];
    return words[0] == OTA_HANDOVER_MAGIC && words[3] == ~(words[0] ^ what ^ words[2]);
}

#endif
