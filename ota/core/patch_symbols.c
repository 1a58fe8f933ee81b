// Adaptive decisions, byte trees and numbers (SPEC.md, section 3.3).
// SPDX-License-Identifier: MIT
#include "patch_coder.h"

#define FLAG_LIMIT 100u

// Constants are whole words: a chip may have them in flash that is read by words alone.

// 65536 / (n + 1.5), two in a word: the rate at which a probability seen n times moves.
#define RATE(n) (131072u / (2 * (n) + 3))
#define R2(n) (RATE((n) + 1) << 16 | RATE(n))
#define R8(n) R2(n), R2((n) + 2), R2((n) + 4), R2((n) + 6)
#define R32(n) R8(n), R8((n) + 8), R8((n) + 16), R8((n) + 24)
static const uint32_t rates[] = {R32(0), R32(32), R32(64), R2(96), R2(98), R2(100)};

// A node's, below what its count grows by.
#define STEP(n) (1u << 16 | RATE(n))
static const uint32_t node_steps[16] = {STEP(0), STEP(1), STEP(2), STEP(3), STEP(4), STEP(5), STEP(6), STEP(7),
    STEP(8), STEP(9), STEP(10), STEP(11), STEP(12), STEP(13), STEP(14), RATE(15)};

static uint32_t rate(uint32_t n) {
    return rates[n >> 1] >> (n & 1) * 16 & 0xffff;
}

// A flag: probability of a 1 in 22 bits above a count in 10. Long runs of zeros cost next to nothing.
int patch_flag(struct patch_state *s, uint32_t f, int want) {
    struct patch_interval c = s->interval;
    uint32_t p = s->flag[f] >> 10, n = s->flag[f] & 1023, r = rate(n);
    int bit = patch_narrow(s, &c, p < 64 ? 1 : p >> 6, want);
    if (bit) {
        p += ((0x3fffffu - p) >> 6) * r >> 10;
    } else {
        p -= (p >> 6) * r >> 10;
    }
    s->flag[f] = p << 10 | (n < FLAG_LIMIT ? n + 1 : n);
    patch_renew(s, &c);
    s->interval = c;
    return bit;
}

// Nodes, each 12 bits of probability above a count in 4. A byte takes eight of them: this loop is what literals cost.
uint32_t patch_tree(struct patch_state *s, uint16_t *tree, uint32_t bits, uint32_t want) {
    struct patch_interval c = s->interval;
    uint32_t i = 1, end = 1u << bits;
    (void)want;
    do {
        uint16_t *node = tree + i;
        uint32_t v = *node, p = v & ~15u, step = node_steps[v & 15], r = step & 0xffff;
        i <<= 1;
        if (patch_narrow(s, &c, p + 8, want >> --bits & 1)) {
            v += (0xfff0 - p) * r >> 16 & ~15u;
            i++;
        } else {
            v -= p * r >> 16 & ~15u;
        }
        *node = (uint16_t)(v + (step >> 16));
        patch_renew(s, &c);
    } while (i < end);
    s->interval = c;
    return i - end;
}

int patch_node(struct patch_state *s, uint16_t *node, int want) {
    return (int)patch_tree(s, node - 1, 1, (uint32_t)want);
}

// A bit of which nothing is known.
static uint32_t even_bit(struct patch_state *s, int want) {
    struct patch_interval c = s->interval;
    int bit = patch_narrow(s, &c, 32768, want);
    patch_renew(s, &c);
    s->interval = c;
    return (uint32_t)bit;
}

// A signed number, small ones cheap: the length of its magnitude plus one, then the bits below the top one.
int32_t patch_number(struct patch_state *s, enum patch_number_model model, int32_t want) {
    uint32_t at = N_NUMBER + (uint32_t)model * 48, n = 0, v = 1;
    uint32_t w = (want < 0 ? ~((uint32_t)want << 1) : (uint32_t)want << 1) + 1;
    while (PATCH_WANT(n < 31 && w >> n >> 1)) {
        n++;
    }
    n = patch_tree(s, s->node + at, 5, n);
    for (uint32_t b = n; b--;) {
        bool top = b + 1 == n && n < 16;
        int want_bit = w >> b & 1;
        v = v << 1 | (top ? (uint32_t)patch_node(s, s->node + at + 32 + n, want_bit) : even_bit(s, want_bit));
    }
    v--;
    return (int32_t)(v & 1 ? ~(v >> 1) : v >> 1);
}
