// Plain bytes: no sites.
// SPDX-License-Identifier: MIT
#include "patch_model.h"

static uint32_t classify(const struct patch_state *s, const uint8_t *b) {
    (void)s;
    return b[0] >> 4;
}

static uint32_t unit(const struct patch_state *s, const uint8_t *b) {
    (void)s, (void)b;
    return 1;
}

static uint32_t advance(const struct patch_state *s, const uint8_t *b, uint32_t n) {
    (void)b, (void)n;
    return s->new_pos & 1;
}

static bool find(const struct patch_state *s, struct patch_site *site, const uint8_t *b, uint32_t from) {
    (void)s, (void)site, (void)b, (void)from;
    return false;
}

static bool place(const struct patch_site *site, uint8_t *b, uint32_t to, uint32_t target) {
    (void)site, (void)b, (void)to, (void)target;
    return false;
}

const struct patch_arch patch_raw = {classify, unit, advance, find, place};
