// The primitive under the model, a binary decision with a probability, and what only the encoder can answer.
// SPDX-License-Identifier: MIT
#ifndef OTA_PATCH_CODER_H
#define OTA_PATCH_CODER_H

#include "patch_model.h"

// What starts here. From FAR on a copy at an explicit distance from where the last one ended, or one of the three before. SWITCH starts none: new
// bytes are verbatim from here on, or no longer so. Nor does REPEAT: new bytes are put out once more, with AGAIN from as far back as last time.
enum patch_kind { KIND_SAME, KIND_INSERT, KIND_TABLE, KIND_RECENT, KIND_FAR, KIND_SWITCH = KIND_FAR + 4, KIND_REPEAT, KIND_AGAIN, PATCH_KINDS };

// Questions to the encoder, which compiles these same files with a coder of its own. The decoder never looks at the answers.
enum patch_question {
    PATCH_ASK_EQUAL, // are the next n new bytes those at p, and n of them in this copy?
    PATCH_ASK_SITE,  // the same, first of a site
    PATCH_ASK_BYTE,  // the new byte n bytes on
    PATCH_ASK_START, // does anything but literals start here?
    PATCH_ASK_KIND,  // the patch_kind of what starts here if it is no copy, else 0
    PATCH_ASK_DISTANCE, // of a repeat
    PATCH_ASK_LENGTH, // of a repeat
    PATCH_ASK_OLD,   // the old offset that a copy starts at
    PATCH_ASK_REACH, // its rough length
    PATCH_ASK_END,   // does the copy end here?
    PATCH_ASK_SHIFT, // displacement that makes the site of the patch_guess p right, or PATCH_NO_SHIFT
    PATCH_ASK_HALF,  // the number that stands at the patch_guess p now, or PATCH_NO_SHIFT
};
#define PATCH_NO_SHIFT 0x80000000u

#ifdef OTA_PATCH_ENCODER
int patch_narrow(struct patch_state *s, struct patch_interval *c, uint32_t bound, int want);
void patch_renew(struct patch_state *s, struct patch_interval *c);
uint32_t patch_byte(struct patch_state *s, uint32_t want);
uint32_t patch_ask(struct patch_state *s, enum patch_question q, const void *p, uint32_t n);
#define PATCH_WANT(x) (x)
#else
// One decision is these two; bound is the part of the range that stands for a 1. Whoever makes several keeps the interval in
// registers, where functions could not leave it, and what follows from a bit goes between the two.
PATCH_INLINE int patch_narrow_to(struct patch_interval *c, uint32_t bound) {
    int bit = c->code < bound;
    if (bit) {
        c->range = bound;
    } else {
        c->code -= bound;
        c->range -= bound;
    }
    return bit;
}

// The next byte of the patch. All that a step may take is there, zeros after the end.
PATCH_INLINE uint32_t patch_next(struct patch_state *s) {
    return s->in[s->in_start++];
}

PATCH_INLINE void patch_renew(struct patch_state *s, struct patch_interval *c) {
    if (c->range >> 24) {
        return;
    }
    do {
        c->code = c->code << 8 | patch_next(s);
        c->range <<= 8;
    } while (!(c->range >> 24));
}

#define patch_narrow(s, c, bound, want) ((void)(want), patch_narrow_to(c, bound))
#define patch_byte(s, want) ((void)(want), patch_next(s))
#define patch_ask(s, q, p, n) ((void)(s), (void)(p), (void)(n), 0u)
#define PATCH_WANT(x) (1 ? 0u : (x)) // not evaluated
#endif

#endif
