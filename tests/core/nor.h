// A NOR flash in memory, stricter than a chip: it refuses and remembers every misuse.
// SPDX-License-Identifier: MIT
#ifndef NOR_H
#define NOR_H

#include "ota.h"

struct nor_range {
    uint32_t offset, size;
};

struct nor {
    uint8_t *bytes;
    uint32_t size, sector;
    uint32_t reads, writes, erases, feeds; // operations so far; those after a cut do not count
    uint32_t misuses;      // unaligned, out of range, or a write that would set a cleared bit
    uint32_t cut_at;       // power fails inside this write (from 1); 0 never
    uint32_t seed;         // which bits of that write are programmed
    bool off;              // power has failed: nothing works any more
    struct nor_range stuck;      // writes here change nothing and report success
    struct nor_range unwritable; // writes here report an error
    struct nor_range unreadable; // reads here report an error
};

// `bytes` is the caller's, `size` of them; contents stay as they are.
void nor_init(struct nor *nor, uint8_t *bytes, uint32_t size, uint32_t sector);
void nor_io(struct nor *nor, struct ota_io *io);

#endif
