// Plain bytes: no sites.
// SPDX-License-Identifier: MIT
#include "patch_model.h"

static uint32_t look(const struct patch_state *s, struct patch_site *site, const uint8_t *b, uint32_t from) {
    (void)s, (void)b, (void)from;
    site->type = PATCH_NO_SITE;
    return 4;
}

static uint32_t advance(const struct patch_state *s, const uint8_t *b, uint32_t n) {
    (void)b, (void)n;
    return s->new_pos & 1;
}

static bool place(const struct patch_site *site, uint8_t *b, uint32_t to, uint32_t target) {
    (void)site, (void)b, (void)to, (void)target;
    return false;
}

const struct patch_arch patch_raw = {look, advance, place};
