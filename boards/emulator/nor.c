// A NOR flash chip (nor.h).
// SPDX-License-Identifier: MIT
#include "nor.h"

#include <string.h>

static uint32_t next_random(nor_t *s) {
    uint32_t x = s->random ? s->random : 0x9e3779b9u; // xorshift32: a zero state would stay zero
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    s->random = x;
    return x;
}

static uint32_t below(nor_t *s, uint32_t limit) {
    return (next_random(s) >> 8) % limit;
}

static int out_of_range(const nor_t *s, uint32_t offset, uint32_t n) {
    return offset > s->size || n > s->size - offset;
}

static int cut_falls_here(nor_t *s) {
    s->operations++;
    if (s->operations != s->cut_at) {
        return 0;
    }
    s->random = s->cut_seed * 2654435761u + 1;
    return 1;
}

// Settled by being programmed over or erased.
static void settle(nor_t *s, uint32_t offset, uint32_t n) {
    if (s->unstable_bytes && offset < s->unstable_offset + s->unstable_bytes && s->unstable_offset < offset + n) {
        s->unstable_bytes = 0;
    }
}

static void disturb(nor_t *s, uint32_t offset, uint8_t *buf, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = offset + i - s->unstable_offset;
        if (offset + i < s->unstable_offset || at >= s->unstable_bytes) {
            continue;
        }
        if (s->unstable_erase) {
            if (below(s, 64) == 0) {
                buf[i] = (uint8_t)(buf[i] & ~(1u << below(s, 8)));
            }
        } else {
            buf[i] = (uint8_t)(buf[i] | (s->unstable_old[at] & next_random(s) >> 8));
        }
    }
}

int nor_read(nor_t *s, const struct nor_store *store, uint32_t offset, void *buf, uint32_t n) {
    if (out_of_range(s, offset, n)) {
        return NOR_E_RANGE;
    }
    if (store->read(store->ctx, offset, buf, n) < 0) {
        return NOR_E_STORE;
    }
    if (s->unstable_bytes) {
        disturb(s, offset, buf, n);
    }
    return NOR_OK;
}

// What an interrupted program leaves: `now` holds the old bytes, `goal` the finished ones.
static void cut_program(nor_t *s, uint32_t offset, uint8_t *now, const uint8_t *goal, uint32_t n) {
    uint32_t prefix = below(s, n);
    switch (s->cut_kind % NOR_PROGRAM_CUTS) {
        case NOR_PROGRAM_NONE:
            break;
        case NOR_PROGRAM_PREFIX:
            memcpy(now, goal, prefix);
            now[prefix] = (uint8_t)(now[prefix] & (goal[prefix] | next_random(s) >> 8));
            break;
        case NOR_PROGRAM_SUBSET:
            for (uint32_t i = 0; i < n; i++) {
                now[i] = (uint8_t)(now[i] & (goal[i] | next_random(s) >> 8));
            }
            break;
        case NOR_PROGRAM_UNSTABLE:
            s->unstable_offset = offset;
            s->unstable_bytes = n;
            s->unstable_erase = 0;
            memcpy(s->unstable_old, now, n);
            memcpy(now, goal, n);
            break;
        default:
            memcpy(now, goal, n);
            break;
    }
}

int nor_program(nor_t *s, const struct nor_store *store, uint32_t offset, const void *buf, uint32_t n) {
    uint8_t now[NOR_PAGE_BYTES], goal[NOR_PAGE_BYTES];
    const uint8_t *in = buf;
    if (out_of_range(s, offset, n)) {
        return NOR_E_RANGE;
    }
    if (n == 0 || n > NOR_PAGE_BYTES - offset % NOR_PAGE_BYTES) {
        return NOR_E_ALIGN;
    }
    if (store->read(store->ctx, offset, now, n) < 0) {
        return NOR_E_STORE;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (s->strict && (now[i] & in[i]) != in[i]) {
            return NOR_E_BITS;
        }
        goal[i] = now[i] & in[i];
    }
    int cut = cut_falls_here(s);
    s->programs++;
    settle(s, offset, n);
    if (cut) {
        cut_program(s, offset, now, goal, n);
    } else {
        memcpy(now, goal, n);
    }
    if (store->write(store->ctx, offset, now, n) < 0) {
        return NOR_E_STORE;
    }
    return cut ? NOR_CUT : NOR_OK;
}

// One page of an interrupted erase.
static void cut_erase(nor_t *s, uint8_t *page) {
    uint32_t kind = s->cut_kind % NOR_ERASE_CUTS;
    for (uint32_t i = 0; i < NOR_PAGE_BYTES; i++) {
        if (kind == NOR_ERASE_EARLY) {
            page[i] = (uint8_t)(page[i] & next_random(s) >> 8);
        } else if (kind == NOR_ERASE_ZEROED) {
            page[i] = 0;
        } else if (kind == NOR_ERASE_MIXED) {
            page[i] = (uint8_t)(next_random(s) >> 8);
        } else if (kind != NOR_ERASE_NONE) {
            page[i] = 0xff;
        }
    }
}

int nor_erase(nor_t *s, const struct nor_store *store, uint32_t offset, uint32_t n) {
    uint8_t page[NOR_PAGE_BYTES];
    if (out_of_range(s, offset, n)) {
        return NOR_E_RANGE;
    }
    if ((n != NOR_SECTOR_BYTES && n != 32768u && n != 65536u) || offset % n != 0) {
        return NOR_E_ALIGN;
    }
    int cut = cut_falls_here(s);
    s->erases++;
    settle(s, offset, n);
    for (uint32_t i = offset / NOR_SECTOR_BYTES; i < (offset + n) / NOR_SECTOR_BYTES && i < NOR_MAX_SECTORS; i++) {
        s->wear[i]++;
    }
    if (cut && s->cut_kind % NOR_ERASE_CUTS == NOR_ERASE_UNSTABLE) {
        s->unstable_offset = offset;
        s->unstable_bytes = n;
        s->unstable_erase = 1;
    }
    for (uint32_t at = offset; at < offset + n; at += NOR_PAGE_BYTES) {
        memset(page, 0xff, sizeof(page));
        if (cut) {
            if (store->read(store->ctx, at, page, sizeof(page)) < 0) {
                return NOR_E_STORE;
            }
            cut_erase(s, page);
        }
        if (store->write(store->ctx, at, page, sizeof(page)) < 0) {
            return NOR_E_STORE;
        }
    }
    return cut ? NOR_CUT : NOR_OK;
}
