// A flash chip: programming clears bits, erasing sets them, and power may fail inside any operation.
// SPDX-License-Identifier: MIT
//
// Portable C without libraries but memcpy and memset: the emulated ESP8266, the Linux board and every test
// share it. The caller keeps the bytes (a file, an array) behind struct nor_store and the state in nor_t,
// which holds no pointers and may be stored and loaded between runs. Set `size` (and a geometry, a cut or a fault,
// if one is wanted) in a zeroed nor_t; counters go on from where they were.
#ifndef NOR_H
#define NOR_H

#include <stdint.h>

#define NOR_PAGE_BYTES 256u
#define NOR_SECTOR_BYTES 4096u
#define NOR_MAX_SECTORS 4096u
#define NOR_MAX_SCARS 16u
#define NOR_GUARDED_RANGES 2u

enum nor_result {
    NOR_OK = 0,
    NOR_E_RANGE = -1, // outside the chip
    NOR_E_ALIGN = -2, // across a page boundary, erasing at an odd address or size, or a part of a guarded unit
    NOR_E_BITS = -3,  // strict, and the data would need a cleared bit set, or a guarded unit programmed twice
    NOR_E_STORE = -4, // the store failed
    NOR_CUT = -5,     // power failed inside this operation
    NOR_E_BROKEN = -6, // a guarded unit cannot be read or programmed: its ECC or CRC is wrong
    NOR_E_WORN = -7,   // the cells do not take it
};

// How a program command ends when power fails inside it.
enum nor_program_cut {
    NOR_PROGRAM_NONE = 0,     // nothing was programmed (a guarded unit may refuse programming all the same)
    NOR_PROGRAM_PREFIX = 1,   // the first bytes were, one of them in part
    NOR_PROGRAM_SUBSET = 2,   // any subset of the bits to be cleared was
    NOR_PROGRAM_ALL = 3,      // all was, but nobody learnt of it
    NOR_PROGRAM_UNSTABLE = 4, // the bits read differently from time to time, until programmed over or erased
    NOR_PROGRAM_CUTS = 5,
};

// The same for an erase, which first clears all bits and then sets them.
enum nor_erase_cut {
    NOR_ERASE_NONE = 0,     // nothing happened
    NOR_ERASE_EARLY = 1,    // about half of the bits that were set are cleared
    NOR_ERASE_ZEROED = 2,   // all bits cleared
    NOR_ERASE_NOISE = 3,    // any bits
    NOR_ERASE_LATE = 4,     // reads as erased
    NOR_ERASE_UNSTABLE = 5, // reads as erased or nearly so, differently from time to time, until erased again
    NOR_ERASE_MIXED = 6,    // stretches of the above side by side, and of what was there before
    NOR_ERASE_FEW_MORE = 7, // as before, but one bit in about 64 more is cleared
    NOR_ERASE_FEW_LEFT = 8, // erased, but one bit in about 256 not yet set
    NOR_ERASE_CUTS = 9,
};

struct nor_range {
    uint32_t offset, bytes;
};

// What differs between parts; all zero is a serial NOR with sectors of 4 KiB.
struct nor_geometry {
    uint32_t sector;  // bytes of the smallest erase; 0: NOR_SECTOR_BYTES
    uint32_t block;   // bytes of a larger one; 0: 32 and 64 KiB
    uint32_t guarded_unit; // bytes under one ECC or CRC: programmed once and as a whole, zeros excepted; 0: none
    struct nor_range guarded[NOR_GUARDED_RANGES]; // where the units are guarded
};

// A place that a cut left between two states.
enum nor_scar_kind {
    NOR_SCAR_PROGRAM = 1, // `bits`: cells between 1 and 0
    NOR_SCAR_ERASE = 2,   // cells that lose a bit from time to time
    NOR_SCAR_BROKEN = 3,  // `bits`: guarded units whose ECC or CRC is wrong
    NOR_SCAR_REFUSES = 4, // a guarded unit that reads blank and cannot be programmed
};

struct nor_scar {
    uint32_t kind; // 0: none
    struct nor_range at;
    uint8_t bits[NOR_PAGE_BYTES]; // a bit for each cell, or for each unit
};

typedef struct {
    uint32_t size;       // bytes, a multiple of the sector
    uint32_t strict;     // refuse to program what needs a cleared bit set
    uint32_t cut_at;     // power fails inside this operation, counted from 1; 0: never
    uint32_t cut_kind;   // taken modulo the number of cuts of the operation it falls into
    uint32_t cut_seed;
    uint32_t operations; // programs and erases, the cut one included
    uint32_t programs, erases;
    uint32_t random;
    struct nor_geometry geometry;
    struct nor_range stuck;      // programs and erases here change nothing and report success
    struct nor_range unwritable; // programs and erases here report an error
    struct nor_range unreadable; // reads here report an error
    uint32_t fail_at;            // this operation stops half-way and reports an error; 0: none
    uint32_t endurance;          // erases a sector stands; later ones stop half-way and report an error; 0: any number
    uint32_t scars_lost;         // more scars than there is room for: the oldest were forgotten
    struct nor_scar scars[NOR_MAX_SCARS];
    uint32_t wear[NOR_MAX_SECTORS]; // erases of each sector
} nor_t;

struct nor_store {
    void *ctx;
    int (*read)(void *ctx, uint32_t offset, void *buf, uint32_t n);        // 0 or negative
    int (*write)(void *ctx, uint32_t offset, const void *buf, uint32_t n); // replaces bytes; 0 or negative
};

int nor_read(nor_t *s, const struct nor_store *store, uint32_t offset, void *buf, uint32_t n);

// One program command: at most a page, inside one page.
int nor_program(nor_t *s, const struct nor_store *store, uint32_t offset, const void *buf, uint32_t n);

// Erases a sector or a larger block of the part, aligned to its size.
int nor_erase(nor_t *s, const struct nor_store *store, uint32_t offset, uint32_t n);

// A bit that fell over while nobody looked, and a guarded unit that no longer reads because of it. Needs no operation.
int nor_rot(nor_t *s, const struct nor_store *store, uint32_t offset, uint32_t bit);

// True if a cut left cells in [offset, offset + n) that cannot be relied on.
int nor_scarred(const nor_t *s, uint32_t offset, uint32_t n);

#endif
