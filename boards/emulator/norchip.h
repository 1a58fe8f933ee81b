// A flash chip of nor.h in memory, with the core's flash contract over it. It remembers every misuse.
// SPDX-License-Identifier: MIT
#ifndef NORCHIP_H
#define NORCHIP_H

#include "nor.h"
#include "ota.h"

struct norchip;

// Told of each program command and erase before it happens; `in` is NULL for an erase.
typedef void (*norchip_watch_t)(struct norchip *chip, uint32_t offset, const uint8_t *in, uint32_t n);

struct norchip {
    uint8_t *cells;       // the caller's, nor.size of them
    uint32_t command;     // bytes a program command takes at most; 0: a page
    uint32_t reads, writes, erases, feeds; // calls so far; those after a cut do not count
    uint32_t misuses;     // calls that were unaligned or out of range, or that broke the chip's rules
    bool off;             // power has failed: nothing works any more
    norchip_watch_t watch; // or NULL
    nor_t nor;
};

// `cells` is the caller's, `size` of them; contents stay as they are. The rest of the geometry can be set afterwards.
void norchip_init(struct norchip *chip, uint8_t *cells, uint32_t size, uint32_t sector);
void norchip_io(struct norchip *chip, struct ota_io *io);

#endif
