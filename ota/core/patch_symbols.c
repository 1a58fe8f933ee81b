// Adaptive decisions, byte trees and numbers (SPEC.md, section 3.3).
// SPDX-License-Identifier: MIT
#include "patch_coder.h"

// 65536 / (n + 1.5), the rate at which a probability seen n times moves, by how often it is still to be seen before the rate stays.
// Whole words: a chip may have them in flash that is read by words alone.
#define RATE(left) (131072u / (2 * (PATCH_LEARN - (left)) + 3))
static const uint32_t rates[PATCH_LEARN + 1] = {RATE(0), RATE(1), RATE(2), RATE(3), RATE(4), RATE(5), RATE(6), RATE(7),
                                                RATE(8), RATE(9), RATE(10), RATE(11), RATE(12), RATE(13), RATE(14), RATE(15)};

#define STEP 1024u // half a logit
// 65536 / (1 + e^x) for x = 0, 1/2, 1 ... 12.
static const uint32_t logistic[] = {32768, 24743, 17625, 11955, 7812, 4971, 3108, 1921, 1179, 720, 439, 267, 162, 98, 60, 36, 22, 13, 8, 5,
                                    3, 2, 1, 1, 1};
#define LOGISTIC_END ((sizeof logistic / sizeof *logistic - 1) * STEP)

// Behind the flags' own.
static uint32_t weight_of(const struct patch_state *s, uint32_t context) {
    return PATCH_FLAGS + (context * 0x9e3779b1u >> (32 - PATCH_WEIGHT_BITS + s->info.lean));
}

// A flag: the logit of a 1 is the sum of three weights, its own and one for each context, found by a hash. All three move by what it was less
// what was expected, rounded up or down as the coder's range happens to be: long runs of zeros cost next to nothing.
int patch_flag(struct patch_state *s, uint32_t f, uint32_t a, uint32_t b, int want) {
    int16_t *weights = (int16_t *)s->node + PATCH_NODES, *own = weights + f, *of_a = weights + weight_of(s, a), *of_b = weights + weight_of(s, b);
    int32_t sum = *own + *of_a + *of_b;
    uint32_t x = (uint32_t)(sum < 0 ? -sum : sum);
    x = x < LOGISTIC_END ? x : LOGISTIC_END - 1;
    const uint32_t *l = logistic + x / STEP;
    uint32_t p = l[0] - (l[0] - l[1]) * (x % STEP) / STEP;
    if (sum >= 0) {
        p = 65536 - p;
    }
    struct patch_interval c = s->interval;
    uint32_t random = c.range >> 9 & 127;
    int32_t move = -(int32_t)(((p << s->haste) + random) >> 7);
    int bit = 0;
    if (patch_narrow(s, &c, (c.range >> 16) * p, want)) {
        move = (int32_t)((((65536 - p) << s->haste) + random) >> 7);
        s->ones++;
        s->haste = s->ones < 128 ? 2 : s->ones < 2048; // while little is known
        bit = 1;
    }
    *own = (int16_t)(*own + move);
    *of_a = (int16_t)(*of_a + move);
    *of_b = (int16_t)(*of_b + move);
    patch_renew(s, &c);
    s->interval = c;
    return bit;
}

// Nodes: a probability of a 1 in 15 bits. Below the top bit that says that it is learning, the lower four count how long. A byte takes eight
// of them: the inner loop, over those that have learned, is what literals cost.
uint32_t patch_tree(struct patch_state *s, uint16_t *tree, uint32_t bits, uint32_t want) {
    struct patch_interval c = s->interval;
    uint32_t i = 1, end = 1u << bits;
    (void)want;
    do {
        uint16_t *node = tree + i;
        uint32_t v = *node;
        if (v >> 15) {
            uint32_t p = v >> 4 & 0x7ff, left = v & 15, r = rates[left];
            v -= (p * r >> 16 << 4) + (left > 1 ? 1 : 0x8001);
            i *= 2;
            if (patch_narrow(s, &c, (c.range >> 15) * p << 4, want >> --bits & 1)) {
                v += 0x7ff * r >> 16 << 4;
                i++;
            }
            *node = (uint16_t)v;
        } else {
            do {
                uint32_t bound = (c.range >> 15) * v;
                v -= v >> 4;
                i *= 2;
                if (patch_narrow(s, &c, bound, want >> --bits & 1)) {
                    v += 0x7ff;
                    i++;
                }
                *node = (uint16_t)v;
                if (i >= end || c.range < 1u << 24) {
                    break;
                }
                node = tree + i;
                v = *node;
            } while (!(v >> 15));
        }
        patch_renew(s, &c);
    } while (i < end);
    s->interval = c;
    return i - end;
}

int patch_node(struct patch_state *s, uint16_t *node, int want) {
    return (int)patch_tree(s, node - 1, 1, (uint32_t)want);
}

// Bits of which nothing is known, below those of v.
static uint32_t even_bits(struct patch_state *s, uint32_t v, uint32_t n, uint32_t want) {
    struct patch_interval c = s->interval;
    while (n--) {
        v <<= 1;
        if (patch_narrow(s, &c, c.range >> 1, want >> n & 1)) {
            v++;
        }
        patch_renew(s, &c);
    }
    s->interval = c;
    return v;
}

// A count from 0, small ones cheap: the length of it plus one, then the bits below the top one.
uint32_t patch_count(struct patch_state *s, enum patch_number_model model, uint32_t want) {
    uint16_t *length = s->node + N_NUMBER + (uint32_t)model * 48;
    uint32_t n = 0, v = 1, w = want + 1;
    while (PATCH_WANT(n < 31 && w >> n >> 1)) {
        n++;
    }
    n = patch_tree(s, length, 5, n);
    if (n && n < 16) {
        uint16_t *top = length + 32 + n--;
        v = 2 | (uint32_t)patch_node(s, top, w >> n & 1);
    }
    return even_bits(s, v, n, w) - 1;
}

// A signed number, those near zero cheap.
int32_t patch_number(struct patch_state *s, enum patch_number_model model, int32_t want) {
    uint32_t v = patch_count(s, model, want < 0 ? ~((uint32_t)want << 1) : (uint32_t)want << 1);
    return (int32_t)(v & 1 ? ~(v >> 1) : v >> 1);
}
