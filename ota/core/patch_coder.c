// The binary range decoder (SPEC.md, section 3.2).
// SPDX-License-Identifier: MIT
#include "patch_coder.h"

int(patch_code)(struct patch_state *s, uint32_t p) {
    int bit = patch_narrow(s, &s->interval, p, 0);
    patch_renew(s, &s->interval);
    return bit;
}
