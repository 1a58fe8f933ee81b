// A NOR flash chip: programming clears bits, erasing sets them, and power may fail inside any operation.
// SPDX-License-Identifier: MIT
//
// Portable C without libraries but memcpy and memset: the emulated ESP8266, the Linux board and the power-cut
// tests share it. The caller keeps the bytes (a file, an array) behind struct nor_store and the state in nor_t,
// which holds no pointers and may be stored and loaded between runs. Set `size` (and a cut, if one is wanted)
// in a zeroed nor_t; counters go on from where they were.
#ifndef NOR_H
#define NOR_H

#include <stdint.h>

#define NOR_PAGE_BYTES 256u
#define NOR_SECTOR_BYTES 4096u
#define NOR_MAX_SECTORS 4096u

enum nor_result {
    NOR_OK = 0,
    NOR_E_RANGE = -1, // outside the chip
    NOR_E_ALIGN = -2, // across a page boundary, or erasing at an odd address or size
    NOR_E_BITS = -3,  // strict, and the data would need a cleared bit set
    NOR_E_STORE = -4, // the store failed
    NOR_CUT = -5,     // power failed inside this operation
};

// How a program command ends when power fails inside it.
enum nor_program_cut {
    NOR_PROGRAM_NONE = 0,     // nothing was programmed
    NOR_PROGRAM_PREFIX = 1,   // the first bytes were, one of them in part
    NOR_PROGRAM_SUBSET = 2,   // any subset of the bits to be cleared was
    NOR_PROGRAM_ALL = 3,      // all was, but nobody learnt of it
    NOR_PROGRAM_UNSTABLE = 4, // the bits read differently each time, until erased
    NOR_PROGRAM_CUTS = 5,
};

// The same for an erase, which first clears all bits and then sets them.
enum nor_erase_cut {
    NOR_ERASE_NONE = 0,     // nothing happened
    NOR_ERASE_EARLY = 1,    // some more bits cleared
    NOR_ERASE_ZEROED = 2,   // all bits cleared
    NOR_ERASE_MIXED = 3,    // some bits set again
    NOR_ERASE_LATE = 4,     // reads as erased
    NOR_ERASE_UNSTABLE = 5, // reads nearly as erased, differently each time, until erased again
    NOR_ERASE_CUTS = 6,
};

typedef struct {
    uint32_t size;       // bytes, a multiple of the sector
    uint32_t strict;     // refuse to program what needs a cleared bit set
    uint32_t cut_at;     // power fails inside this operation, counted from 1; 0: never
    uint32_t cut_kind;   // taken modulo the number of cuts of the operation it falls into
    uint32_t cut_seed;
    uint32_t operations; // programs and erases, the cut one included
    uint32_t programs, erases;
    uint32_t unstable_offset, unstable_bytes; // what a cut left between two states; 0 bytes: nothing
    uint8_t unstable_old[NOR_PAGE_BYTES];     // before an interrupted program
    uint32_t unstable_erase;                  // it was an erase
    uint32_t random;
    uint32_t wear[NOR_MAX_SECTORS];           // erases of each sector
} nor_t;

struct nor_store {
    void *ctx;
    int (*read)(void *ctx, uint32_t offset, void *buf, uint32_t n);        // 0 or negative
    int (*write)(void *ctx, uint32_t offset, const void *buf, uint32_t n); // replaces bytes; 0 or negative
};

int nor_read(nor_t *s, const struct nor_store *store, uint32_t offset, void *buf, uint32_t n);

// One program command: at most a page, inside one page.
int nor_program(nor_t *s, const struct nor_store *store, uint32_t offset, const void *buf, uint32_t n);

// Erases 4, 32 or 64 KiB, aligned to its size.
int nor_erase(nor_t *s, const struct nor_store *store, uint32_t offset, uint32_t n);

#endif
