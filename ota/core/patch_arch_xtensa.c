// Xtensa LX106: CALL0, L32R and MOVI, found by walking from instruction to instruction.
// SPDX-License-Identifier: MIT
#include "patch_model.h"

// The phase is the number of bytes left in the instruction: narrow ones are those with a low nibble from 8.
static uint32_t advance(const struct patch_state *s, const uint8_t *b, uint32_t n) {
    uint32_t left = s->phase;
    while (left < n) {
        n -= left + 1;
        b += left;
        left = *b++ & 8 ? 1 : 2;
    }
    return left - n;
}

// An instruction, two narrow ones, or what is left of one.
static uint32_t look(const struct patch_state *s, struct patch_site *site, const uint8_t *b, uint32_t from) {
    uint32_t op = b[0] & 15u, n = s->phase;
    site->type = PATCH_NO_SITE;
    if (n) {
        return n;
    }
    if (op & 8) {
        return b[2] & 8 ? 4 : 2;
    }
    site->size = 3;
    site->unit = 2;
    if (op == 1) { // L32R
        site->type = PATCH_LOAD;
        site->target = ((from + 3) & ~3u) - 0x40000u + ((uint32_t)b[1] << 2 | (uint32_t)b[2] << 10);
    } else if (op == 2 && b[1] >> 4 == 10) { // MOVI
        site->type = PATCH_CONSTANT;
        site->target = (b[1] & 15u) << 8 | b[2];
    } else if ((b[0] & 0x3f) == 5) {
        uint32_t offset = (uint32_t)b[0] >> 6 | (uint32_t)b[1] << 2 | (uint32_t)b[2] << 10;
        site->type = PATCH_CALL;
        site->target = (from & ~3u) + 4 + (((offset ^ 0x20000u) - 0x20000u) << 2);
    }
    return 3;
}

static bool place(const struct patch_site *site, uint8_t *b, uint32_t to, uint32_t target) {
    if (site->type == PATCH_CONSTANT) {
        b[1] = (uint8_t)((b[1] & 0xf0) | (target >> 8 & 15));
        b[2] = (uint8_t)target;
        return true;
    }
    if (target & 3) {
        return false;
    }
    if (site->type == PATCH_CALL) {
        uint32_t offset = target - (to & ~3u) - 4;
        if (offset + 0x80000u >= 0x100000u) {
            return false;
        }
        b[0] = (uint8_t)(5 | offset << 4);
        b[1] = (uint8_t)(offset >> 4);
        b[2] = (uint8_t)(offset >> 12);
        return true;
    }
    uint32_t offset = target - ((to + 3) & ~3u) + 0x40000u;
    if (offset >= 0x40000u) {
        return false;
    }
    b[1] = (uint8_t)(offset >> 2);
    b[2] = (uint8_t)(offset >> 10);
    return true;
}

const struct patch_arch patch_xtensa = {look, advance, place};
