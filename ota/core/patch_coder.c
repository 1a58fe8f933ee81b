// The binary range decoder (SPEC.md, section 3.2).
// SPDX-License-Identifier: MIT
#include "patch_coder.h"

// One decision; p / 65536 is the probability of a 1.
int(patch_code)(struct patch_state *s, uint32_t p) {
    uint32_t bound = (s->range >> 16) * p;
    int bit = s->code < bound;
    if (bit) {
        s->range = bound;
    } else {
        s->code -= bound;
        s->range -= bound;
    }
    while (s->range < 1u << 24) {
        uint32_t byte = 0;
        if (s->in_start < s->in_end) {
            byte = s->in[s->in_start++];
        } else {
            s->past_end++;
        }
        s->code = s->code << 8 | byte;
        s->range <<= 8;
    }
    return bit;
}
