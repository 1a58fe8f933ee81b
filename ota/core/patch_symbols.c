// Adaptive decisions, byte trees and numbers (SPEC.md, section 3.3).
// SPDX-License-Identifier: MIT
#include "patch_coder.h"

// Constants are whole words: a chip may have them in flash that is read by words alone.

// 65536 / (n + 1.5): the rate at which a probability seen n times moves. Tables go by how often it is still to be seen.
#define RATE(n) (131072u / (2 * (n) + 3))

// A flag's, two in a word.
#define F2(left) (RATE(PATCH_FLAG_LIMIT - 1 - (left)) << 16 | RATE(PATCH_FLAG_LIMIT - (left)))
#define F10(left) F2(left), F2((left) + 2), F2((left) + 4), F2((left) + 6), F2((left) + 8)
static const uint32_t flag_rates[PATCH_FLAG_LIMIT / 2] = {F10(0), F10(10), F10(20), F10(30), F10(40), F10(50), F10(60), F10(70), F10(80), F10(90)};

// A node's.
#define N4(left) RATE(PATCH_NODE_LIMIT - (left)), RATE(PATCH_NODE_LIMIT - 1 - (left)), RATE(PATCH_NODE_LIMIT - 2 - (left)), RATE(PATCH_NODE_LIMIT - 3 - (left))
static const uint32_t node_rates[PATCH_NODE_LIMIT + 1] = {N4(0), N4(4), N4(8), N4(12)};

// A flag: probability of a 1 in 22 bits above a count in 10, down from PATCH_FLAG_LIMIT. Long runs of zeros cost next to nothing.
int patch_flag(struct patch_state *s, uint32_t f, int want) {
    struct patch_interval c = s->interval;
    uint32_t *flag = s->flag + f, v = *flag, p = v >> 10, left = v & 1023, r = RATE(PATCH_FLAG_LIMIT);
    if (left) {
        r = flag_rates[left >> 1] >> (left & 1) * 16 & 0xffff;
        v--;
    }
    int bit = 0;
    if (patch_narrow(s, &c, p < 64 ? 1 : p >> 6, want)) {
        v += ((0x3fffffu - p) >> 6) * r & ~1023u;
        bit = 1;
    } else {
        v -= (p >> 6) * r & ~1023u;
    }
    *flag = v;
    patch_renew(s, &c);
    s->interval = c;
    return bit;
}

// Nodes, each 12 bits of probability above a count in 4, down from PATCH_NODE_LIMIT. A byte takes eight of them: this loop is what literals cost.
uint32_t patch_tree(struct patch_state *s, uint16_t *tree, uint32_t bits, uint32_t want) {
    struct patch_interval c = s->interval;
    uint32_t i = 1, end = 1u << bits;
    (void)want;
    do {
        uint16_t *node = tree + i;
        uint32_t v = *node, p = v & ~15u, r = RATE(PATCH_NODE_LIMIT);
        if (v & 15) {
            r = node_rates[v & 15];
            v--;
        }
        i <<= 1;
        if (patch_narrow(s, &c, p + 8, want >> --bits & 1)) {
            v += (0xfff0 - p) * r >> 16 & ~15u;
            i++;
        } else {
            v -= p * r >> 16 & ~15u;
        }
        *node = (uint16_t)v;
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
        if (patch_narrow(s, &c, 32768, want >> n & 1)) {
            v++;
        }
        patch_renew(s, &c);
    }
    s->interval = c;
    return v;
}

// A signed number, small ones cheap: the length of its magnitude plus one, then the bits below the top one.
int32_t patch_number(struct patch_state *s, enum patch_number_model model, int32_t want) {
    uint16_t *length = s->node + N_NUMBER + (uint32_t)model * 48;
    uint32_t n = 0, v = 1, w = (want < 0 ? ~((uint32_t)want << 1) : (uint32_t)want << 1) + 1;
    while (PATCH_WANT(n < 31 && w >> n >> 1)) {
        n++;
    }
    n = patch_tree(s, length, 5, n);
    if (n && n < 16) {
        uint16_t *top = length + 32 + n--;
        v = 2 | (uint32_t)patch_node(s, top, w >> n & 1);
    }
    v = even_bits(s, v, n, w) - 1;
    return (int32_t)(v & 1 ? ~(v >> 1) : v >> 1);
}
