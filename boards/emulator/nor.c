// A flash chip (nor.h).
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

static uint8_t random_byte(nor_t *s) {
    return (uint8_t)(next_random(s) >> 8);
}

// A byte in which each bit is set with a chance of 1 in 2^power.
static uint8_t rare_bits(nor_t *s, uint32_t power) {
    uint8_t bits = random_byte(s);
    while (bits && --power) {
        bits &= random_byte(s);
    }
    return bits;
}

static uint32_t sector_bytes(const nor_t *s) {
    return s->geometry.sector ? s->geometry.sector : NOR_SECTOR_BYTES;
}

static int out_of_range(const nor_t *s, uint32_t offset, uint32_t n) {
    return offset > s->size || n > s->size - offset;
}

static int meets(const struct nor_range *r, uint32_t offset, uint32_t n) {
    return r->bytes && offset < r->offset + r->bytes && r->offset < offset + n;
}

static int is_guarded(const nor_t *s, uint32_t offset, uint32_t n) {
    if (!s->geometry.guarded_unit) {
        return 0;
    }
    for (uint32_t i = 0; i < NOR_GUARDED_RANGES; i++) {
        if (meets(&s->geometry.guarded[i], offset, n)) {
            return 1;
        }
    }
    return 0;
}

static int all_are(const uint8_t *p, uint32_t n, uint8_t value) {
    while (n && *p == value) {
        p++;
        n--;
    }
    return n == 0;
}

static int cut_falls_here(nor_t *s) {
    s->operations++;
    if (s->operations != s->cut_at) {
        return 0;
    }
    s->random = s->cut_seed * 2654435761u + 1;
    return 1;
}

// Scars

static struct nor_scar *new_scar(nor_t *s, uint32_t kind, uint32_t offset, uint32_t n) {
    uint32_t i = 0;
    while (i < NOR_MAX_SCARS && s->scars[i].kind) {
        i++;
    }
    if (i == NOR_MAX_SCARS) {
        s->scars_lost++;
        memmove(s->scars, s->scars + 1, sizeof(s->scars) - sizeof(s->scars[0]));
        i--;
    }
    memset(&s->scars[i], 0, sizeof(s->scars[i]));
    s->scars[i].kind = kind;
    s->scars[i].at.offset = offset;
    s->scars[i].at.bytes = n;
    return &s->scars[i];
}

static void heal_erased(nor_t *s, uint32_t offset, uint32_t n) {
    for (uint32_t i = 0; i < NOR_MAX_SCARS; i++) {
        if (s->scars[i].kind && meets(&s->scars[i].at, offset, n)) {
            s->scars[i].kind = 0;
        }
    }
}

// Cells that a later program cleared are at rest. What was half erased stays so.
static void heal_programmed(nor_t *s, uint32_t offset, const uint8_t *in, uint32_t n) {
    for (uint32_t i = 0; i < NOR_MAX_SCARS; i++) {
        struct nor_scar *scar = &s->scars[i];
        if (scar->kind != NOR_SCAR_PROGRAM || !meets(&scar->at, offset, n)) {
            continue;
        }
        for (uint32_t k = 0; k < n; k++) {
            uint32_t at = offset + k - scar->at.offset;
            if (offset + k >= scar->at.offset && at < scar->at.bytes) {
                scar->bits[at] &= in[k];
            }
        }
    }
}

static uint32_t unit_of(const nor_t *s, const struct nor_scar *scar, uint32_t offset) {
    return (offset - scar->at.offset) / s->geometry.guarded_unit;
}

static int is_broken(const nor_t *s, const struct nor_scar *scar, uint32_t offset, uint32_t n) {
    for (uint32_t at = offset; at < offset + n; at += s->geometry.guarded_unit) {
        if (at >= scar->at.offset && at < scar->at.offset + scar->at.bytes) {
            uint32_t unit = unit_of(s, scar, at);
            if (scar->bits[unit / 8] >> unit % 8 & 1) {
                return 1;
            }
        }
    }
    return 0;
}

// One scar's part in a read. Marginal cells of a place move together: there are good days and bad ones.
static int disturb(nor_t *s, const struct nor_scar *scar, uint32_t offset, uint8_t *buf, uint32_t n) {
    uint32_t day = below(s, 4);
    if (scar->kind == NOR_SCAR_REFUSES || (day == 0 && scar->kind != NOR_SCAR_BROKEN)) {
        return NOR_OK; // all read as the operation meant them
    }
    if (is_guarded(s, offset, n)) {
        uint32_t unit = s->geometry.guarded_unit, first = offset / unit * unit;
        return scar->kind != NOR_SCAR_BROKEN || is_broken(s, scar, first, offset + n - first) ? NOR_E_BROKEN : NOR_OK;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = offset + i - scar->at.offset;
        if (offset + i < scar->at.offset || at >= scar->at.bytes) {
            continue;
        }
        if (scar->kind == NOR_SCAR_ERASE) {
            buf[i] = (uint8_t)(buf[i] & ~rare_bits(s, day == 1 ? 9 : 4));
        } else {
            buf[i] = (uint8_t)(buf[i] | (scar->bits[at] & (day == 1 ? 0xff : day == 2 ? random_byte(s) : rare_bits(s, 4))));
        }
    }
    return NOR_OK;
}

int nor_scarred(const nor_t *s, uint32_t offset, uint32_t n) {
    for (uint32_t i = 0; i < NOR_MAX_SCARS; i++) {
        const struct nor_scar *scar = &s->scars[i];
        if (!scar->kind || !meets(&scar->at, offset, n)) {
            continue;
        }
        if (scar->kind == NOR_SCAR_BROKEN ? is_broken(s, scar, offset, n) : scar->kind == NOR_SCAR_ERASE) {
            return 1;
        }
        for (uint32_t k = 0; scar->kind == NOR_SCAR_PROGRAM && k < scar->at.bytes; k++) {
            if (scar->bits[k] && scar->at.offset + k >= offset && scar->at.offset + k < offset + n) {
                return 1;
            }
        }
    }
    return 0;
}

int nor_read(nor_t *s, const struct nor_store *store, uint32_t offset, void *buf, uint32_t n) {
    if (out_of_range(s, offset, n)) {
        return NOR_E_RANGE;
    }
    if (meets(&s->unreadable, offset, n)) {
        return NOR_E_WORN;
    }
    if (store->read(store->ctx, offset, buf, n) < 0) {
        return NOR_E_STORE;
    }
    int r = NOR_OK;
    for (uint32_t i = 0; i < NOR_MAX_SCARS && r == NOR_OK; i++) {
        if (s->scars[i].kind && meets(&s->scars[i].at, offset, n)) {
            r = disturb(s, &s->scars[i], offset, buf, n);
        }
    }
    return r;
}

// Programs

// A guarded unit is whole and right, or it cannot be read any more.
static void cut_guarded(nor_t *s, uint32_t offset, const uint8_t *old, const uint8_t *now, const uint8_t *goal, uint32_t n) {
    uint32_t unit = s->geometry.guarded_unit;
    struct nor_scar *scar = 0;
    for (uint32_t i = 0; i < n; i += unit) {
        if (memcmp(now + i, old + i, unit) != 0 && memcmp(now + i, goal + i, unit) != 0) {
            scar = scar ? scar : new_scar(s, NOR_SCAR_BROKEN, offset, n);
            scar->bits[i / unit / 8] |= (uint8_t)(1u << i / unit % 8);
        }
    }
    if (memcmp(now, old, n) == 0 && all_are(old, n, 0xff) && below(s, 2)) {
        new_scar(s, NOR_SCAR_REFUSES, offset, n);
    }
}

// What an interrupted program leaves: `now` holds the old bytes, `goal` the finished ones.
static void cut_program(nor_t *s, uint32_t offset, uint8_t *now, const uint8_t *goal, uint32_t n) {
    uint8_t old[NOR_PAGE_BYTES];
    uint32_t prefix = below(s, n);
    memcpy(old, now, n);
    switch (s->cut_kind % NOR_PROGRAM_CUTS) {
        case NOR_PROGRAM_NONE:
            break;
        case NOR_PROGRAM_PREFIX:
            memcpy(now, goal, prefix);
            now[prefix] = (uint8_t)(now[prefix] & (goal[prefix] | random_byte(s)));
            break;
        case NOR_PROGRAM_SUBSET:
            for (uint32_t i = 0; i < n; i++) {
                now[i] = (uint8_t)(now[i] & (goal[i] | random_byte(s)));
            }
            break;
        case NOR_PROGRAM_UNSTABLE: {
            struct nor_scar *scar = new_scar(s, NOR_SCAR_PROGRAM, offset, n);
            for (uint32_t i = 0; i < n; i++) {
                scar->bits[i] = (uint8_t)(now[i] & ~goal[i]);
            }
            memcpy(now, goal, n);
            break;
        }
        default:
            memcpy(now, goal, n);
            break;
    }
    if (is_guarded(s, offset, n)) {
        cut_guarded(s, offset, old, now, goal, n);
    }
}

// Why the chip or its driver would not even begin, or NOR_OK. Who programs over cells that a cut left between two states
// breaks no rule: they may have read as blank.
static int may_program(const nor_t *s, uint32_t offset, const uint8_t *now, const uint8_t *in, uint32_t n) {
    const int blamed = s->strict && !nor_scarred(s, offset, n);
    if (is_guarded(s, offset, n)) {
        uint32_t unit = s->geometry.guarded_unit;
        if (offset % unit || n % unit) {
            return NOR_E_ALIGN;
        }
        for (uint32_t i = 0; i < n; i += unit) {
            if (!all_are(now + i, unit, 0xff) && !all_are(in + i, unit, 0)) {
                return blamed ? NOR_E_BITS : NOR_E_BROKEN;
            }
        }
    }
    for (uint32_t i = 0; blamed && i < n; i++) {
        if ((now[i] & in[i]) != in[i]) {
            return NOR_E_BITS;
        }
    }
    return NOR_OK;
}

// True where the cells refuse: an earlier cut, a bad place, or the fault that is due.
static int refuses(nor_t *s, uint32_t offset, uint32_t n) {
    if (s->operations == s->fail_at || meets(&s->unwritable, offset, n)) {
        return 1;
    }
    for (uint32_t i = 0; i < NOR_MAX_SCARS && is_guarded(s, offset, n); i++) {
        const struct nor_scar *scar = &s->scars[i];
        if (scar->kind && meets(&scar->at, offset, n) &&
            (scar->kind == NOR_SCAR_REFUSES || (scar->kind == NOR_SCAR_ERASE && below(s, 4) == 0))) {
            return 1;
        }
    }
    return 0;
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
    int r = may_program(s, offset, now, in, n);
    if (r != NOR_OK) {
        return r;
    }
    for (uint32_t i = 0; i < n; i++) {
        goal[i] = now[i] & in[i];
    }
    int cut = cut_falls_here(s);
    s->programs++;
    if (meets(&s->stuck, offset, n)) {
        return cut ? NOR_CUT : NOR_OK;
    }
    int failed = !cut && refuses(s, offset, n);
    heal_programmed(s, offset, in, n);
    if (cut || failed) {
        cut_program(s, offset, now, goal, n);
    } else {
        memcpy(now, goal, n);
    }
    if (store->write(store->ctx, offset, now, n) < 0) {
        return NOR_E_STORE;
    }
    return cut ? NOR_CUT : failed ? NOR_E_WORN : NOR_OK;
}

// Erases

// One stretch of an interrupted erase.
static void cut_stretch(nor_t *s, uint32_t kind, uint8_t *p, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        switch (kind) {
            case NOR_ERASE_NONE:
                break;
            case NOR_ERASE_EARLY:
                p[i] = (uint8_t)(p[i] & random_byte(s));
                break;
            case NOR_ERASE_ZEROED:
                p[i] = 0;
                break;
            case NOR_ERASE_NOISE:
                p[i] = random_byte(s);
                break;
            case NOR_ERASE_FEW_MORE:
                p[i] = (uint8_t)(p[i] & ~rare_bits(s, 6));
                break;
            case NOR_ERASE_FEW_LEFT:
                p[i] = (uint8_t)~rare_bits(s, 8);
                break;
            default:
                p[i] = 0xff;
                break;
        }
    }
}

// One page of an interrupted erase, in stretches of 16 bytes if it is a mixed one.
static void cut_erase(nor_t *s, uint8_t *page) {
    uint32_t kind = s->cut_kind % NOR_ERASE_CUTS;
    if (kind != NOR_ERASE_MIXED) {
        cut_stretch(s, kind, page, NOR_PAGE_BYTES);
        return;
    }
    for (uint32_t i = 0; i < NOR_PAGE_BYTES; i += 16) {
        cut_stretch(s, below(s, 2) ? NOR_ERASE_NONE : below(s, NOR_ERASE_CUTS), page + i, 16);
    }
}

// Guarded units that are neither as before nor blank cannot be read. `at` is inside [offset, offset + n).
static void break_units(nor_t *s, struct nor_scar *scar, uint32_t at, const uint8_t *old, const uint8_t *now) {
    uint32_t unit = s->geometry.guarded_unit;
    for (uint32_t i = 0; i < NOR_PAGE_BYTES; i += unit) {
        if (memcmp(old + i, now + i, unit) != 0 && !all_are(now + i, unit, 0xff)) {
            uint32_t k = unit_of(s, scar, at + i);
            scar->bits[k / 8] |= (uint8_t)(1u << k % 8);
        }
    }
}

static void count_wear(nor_t *s, uint32_t offset, uint32_t n) {
    uint32_t sector = sector_bytes(s);
    for (uint32_t i = offset / sector; i < (offset + n) / sector && i < NOR_MAX_SECTORS; i++) {
        s->wear[i]++;
    }
}

static int is_worn(const nor_t *s, uint32_t offset) {
    uint32_t i = offset / sector_bytes(s);
    return s->endurance && i < NOR_MAX_SECTORS && s->wear[i] > s->endurance;
}

static int erase_pages(nor_t *s, const struct nor_store *store, uint32_t offset, uint32_t n, int torn) {
    uint8_t page[NOR_PAGE_BYTES], old[NOR_PAGE_BYTES];
    struct nor_scar *scar = 0;
    if (torn && s->cut_kind % NOR_ERASE_CUTS == NOR_ERASE_UNSTABLE) {
        new_scar(s, NOR_SCAR_ERASE, offset, n);
    } else if (torn && is_guarded(s, offset, n)) {
        scar = new_scar(s, NOR_SCAR_BROKEN, offset, n);
    }
    for (uint32_t at = offset; at < offset + n; at += NOR_PAGE_BYTES) {
        memset(page, 0xff, sizeof(page));
        if (torn) {
            if (store->read(store->ctx, at, page, sizeof(page)) < 0) {
                return NOR_E_STORE;
            }
            memcpy(old, page, sizeof(page));
            cut_erase(s, page);
            if (scar) {
                break_units(s, scar, at, old, page);
            }
        }
        if (store->write(store->ctx, at, page, sizeof(page)) < 0) {
            return NOR_E_STORE;
        }
    }
    return NOR_OK;
}

static int is_block(const nor_t *s, uint32_t n) {
    return s->geometry.block ? n == s->geometry.block : n == 32768u || n == 65536u;
}

int nor_erase(nor_t *s, const struct nor_store *store, uint32_t offset, uint32_t n) {
    if (out_of_range(s, offset, n)) {
        return NOR_E_RANGE;
    }
    if ((n != sector_bytes(s) && !is_block(s, n)) || offset % n != 0) {
        return NOR_E_ALIGN;
    }
    int cut = cut_falls_here(s);
    s->erases++;
    count_wear(s, offset, n);
    if (meets(&s->stuck, offset, n)) {
        return cut ? NOR_CUT : NOR_OK;
    }
    int failed = !cut && (s->operations == s->fail_at || meets(&s->unwritable, offset, n) || is_worn(s, offset));
    if (!cut || s->cut_kind % NOR_ERASE_CUTS != NOR_ERASE_NONE) {
        heal_erased(s, offset, n);
    }
    int r = erase_pages(s, store, offset, n, cut || failed);
    return r != NOR_OK ? r : cut ? NOR_CUT : failed ? NOR_E_WORN : NOR_OK;
}

int nor_rot(nor_t *s, const struct nor_store *store, uint32_t offset, uint32_t bit) {
    uint8_t byte;
    if (out_of_range(s, offset, 1)) {
        return NOR_E_RANGE;
    }
    if (store->read(store->ctx, offset, &byte, 1) < 0) {
        return NOR_E_STORE;
    }
    byte = (uint8_t)(byte ^ 1u << bit % 8);
    if (is_guarded(s, offset, 1)) {
        uint32_t unit = s->geometry.guarded_unit;
        new_scar(s, NOR_SCAR_BROKEN, offset / unit * unit, unit)->bits[0] = 1;
    }
    return store->write(store->ctx, offset, &byte, 1) < 0 ? NOR_E_STORE : NOR_OK;
}
