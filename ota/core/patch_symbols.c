// Adaptive decisions, byte trees and numbers (SPEC.md, section 3.3).
// SPDX-License-Identifier: MIT
#include "patch_coder.h"

#define FLAG_LIMIT 100u
#define NODE_LIMIT 15u

// 65536 / (n + 1.5): the rate at which a probability seen n times moves.
#define R(n) (uint16_t)(131072u / (2 * (n) + 3))
#define R4(n) R(n), R(n + 1), R(n + 2), R(n + 3)
#define R16(n) R4(n), R4(n + 4), R4(n + 8), R4(n + 12)
static const uint16_t rate[] = {R16(0), R16(16), R16(32), R16(48), R16(64), R16(80), R4(96), R(100)};

// Share, in sixteenths, of a hashed context that has been seen n times.
static const uint8_t share[16] = {0, 1, 2, 3, 3, 4, 4, 4, 5, 5, 5, 5, 5, 6, 6, 6};

// A flag: probability of a 1 in 22 bits above a count in 10. Long runs of zeros cost next to nothing.
int patch_flag(struct patch_state *s, const struct ota_patch_io *io, uint32_t f, int want) {
    uint32_t p = s->flag[f] >> 10, n = s->flag[f] & 1023;
    int bit = patch_code(s, io, p < 64 ? 1 : p >> 6, want);
    if (bit) {
        p += ((0x3fffffu - p) >> 6) * rate[n] >> 10;
    } else {
        p -= (p >> 6) * rate[n] >> 10;
    }
    s->flag[f] = p << 10 | (n < FLAG_LIMIT ? n + 1 : n);
    return bit;
}

// A node: 12 bits above a count in 4.
static void adapt(uint16_t *t, int bit) {
    uint32_t p = *t >> 4, n = *t & 15u;
    if (bit) {
        p += (4095 - p) * rate[n] >> 16;
    } else {
        p -= p * rate[n] >> 16;
    }
    *t = (uint16_t)(p << 4 | (n < NODE_LIMIT ? n + 1 : n));
}

int patch_node(struct patch_state *s, const struct ota_patch_io *io, uint32_t at, int want) {
    uint16_t *t = s->node + at;
    int bit = patch_code(s, io, (*t & 0xfff0u) | 8, want);
    adapt(t, bit);
    return bit;
}

uint32_t patch_tree(struct patch_state *s, const struct ota_patch_io *io, uint32_t at, uint32_t bits, uint32_t want) {
    uint32_t i = 1;
    (void)want;
    for (uint32_t b = bits; b--;) {
        i = i << 1 | (uint32_t)patch_node(s, io, at + i, want >> b & 1);
    }
    return i - (1u << bits);
}

// A byte: each node of its tree is averaged with one that a hash of the context picks.
uint32_t patch_byte(struct patch_state *s, const struct ota_patch_io *io, uint32_t at, uint32_t context, uint32_t want) {
    uint32_t bits = s->info.literal_bits, i = 1;
    (void)want;
    if (!bits) {
        return patch_tree(s, io, at, 8, want);
    }
    for (uint32_t b = 8; b--;) {
        uint16_t *t = s->node + at + i, *u = s->node + N_HASH + ((context << 8 | i) * 0x9e3779b1u >> (32 - bits));
        int32_t p = *t >> 4, q = *u >> 4;
        int bit = patch_code(s, io, (uint32_t)((p << 4) + (q - p) * share[*u & 15]) | 8, want >> b & 1);
        adapt(t, bit);
        adapt(u, bit);
        i = i << 1 | (uint32_t)bit;
    }
    return i - 256;
}

// A signed number, small ones cheap: the length of its magnitude plus one, then the bits below the top one.
int32_t patch_number(struct patch_state *s, const struct ota_patch_io *io, enum patch_number_model model, int32_t want) {
    uint32_t at = N_NUMBER + (uint32_t)model * 48, n = 0, v = 1;
    uint32_t w = (want < 0 ? ~((uint32_t)want << 1) : (uint32_t)want << 1) + 1;
    while (PATCH_WANT(n < 31 && w >> n >> 1)) {
        n++;
    }
    n = patch_tree(s, io, at, 5, n);
    for (uint32_t b = n; b--;) {
        bool top = b + 1 == n && n < 16;
        v = v << 1 | (uint32_t)(top ? patch_node(s, io, at + 32 + n, w >> b & 1) : patch_code(s, io, 32768, w >> b & 1));
    }
    v--;
    return (int32_t)(v & 1 ? ~(v >> 1) : v >> 1);
}
