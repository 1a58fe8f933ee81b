// The primitive under the model, a binary decision with a probability, and what only the encoder can answer.
// SPDX-License-Identifier: MIT
#ifndef OTA_PATCH_CODER_H
#define OTA_PATCH_CODER_H

#include "patch_model.h"

// Questions to the encoder, which compiles these same files with a coder of its own. The decoder never looks at the answers.
enum patch_question {
    PATCH_ASK_EQUAL, // are the next n new bytes those at p, and n of them in this copy?
    PATCH_ASK_BYTE,  // the next new byte
    PATCH_ASK_START, // does a copy start here?
    PATCH_ASK_OLD,   // the old offset it starts at
    PATCH_ASK_REACH, // its rough length
    PATCH_ASK_END,   // does the copy end here?
    PATCH_ASK_SHIFT, // displacement that makes the site of the patch_guess p right, or PATCH_NO_SHIFT
    PATCH_ASK_HALF,  // the number that stands at the patch_guess p now, or PATCH_NO_SHIFT
};
#define PATCH_NO_SHIFT 0x80000000u

#ifdef OTA_PATCH_ENCODER
int patch_code(struct patch_state *s, uint32_t p, int want);
uint32_t patch_ask(struct patch_state *s, enum patch_question q, const void *p, uint32_t n);
#define PATCH_WANT(x) (x)
#else
int patch_code(struct patch_state *s, uint32_t p);
#define patch_code(s, p, want) ((void)(want), (patch_code)(s, p))
#define patch_ask(s, q, p, n) ((void)(s), (void)(p), 0u)
#define PATCH_WANT(x) (1 ? 0u : (x)) // not evaluated
#endif

#endif
