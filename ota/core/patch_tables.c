// Tables that the sites read and teach: where addresses moved, and how small numbers changed (SPEC.md, section 3.5).
// SPDX-License-Identifier: MIT
#include "patch_model.h"

// An entry: displacement in 14 bits, then PATCH_KEPT, then SURE; 0 is unknown.
#define SURE 1u // a site has confirmed it
#define NEAR_LIMIT 0x1f80
#define FAR_CODE 0x3f00u

int32_t patch_region(const struct patch_state *s, uint32_t address) {
    const struct ota_patch_info *h = &s->info;
    uint32_t first = s->image_regions, offset = address - h->base;
    if (offset < h->old_size + PATCH_BEYOND) {
        return (int32_t)(offset >> h->region_shift);
    }
    for (uint32_t i = 0; i < h->windows; i++) {
        offset = address - h->window[i].start;
        if (offset < h->window[i].size) {
            return (int32_t)(first + (offset >> h->region_shift));
        }
        first += ((h->window[i].size - 1) >> h->region_shift) + 1;
    }
    return -1;
}

static int32_t unpack(const struct patch_state *s, uint32_t entry) {
    uint32_t v = entry >> 2;
    return v >= FAR_CODE ? s->far[v % PATCH_FAR] : (int32_t)v - NEAR_LIMIT;
}

// A displacement that does not fit goes through a ring of the last such ones.
static uint16_t pack(struct patch_state *s, int32_t d) {
    if (d > -NEAR_LIMIT && d < NEAR_LIMIT) {
        return (uint16_t)((d + NEAR_LIMIT) << 2);
    }
    const int32_t *at = s->far;
    s->far[PATCH_FAR] = d; // where the search ends
    while (*at != d) {
        at++;
    }
    uint32_t i = (uint32_t)(at - s->far);
    if (i == PATCH_FAR) {
        i = s->far_next++ % PATCH_FAR;
        s->far[i] = d;
    }
    return (uint16_t)((FAR_CODE + i) << 2);
}

// The region's displacement, else the nearest known one's, else the latest (in the image) or none (in RAM).
int32_t patch_displacement(const struct patch_state *s, int32_t region, uint32_t *trust) {
    const uint16_t *t = s->node + s->at_table + region;
    if (*t) {
        *trust = 1 + (*t & SURE);
        return unpack(s, *t);
    }
    *trust = 0;
    for (int32_t k = 1; k <= (int32_t)PATCH_NEAR; k++) {
        if (region >= k && t[-k]) {
            return unpack(s, t[-k]);
        }
        if (region + k < (int32_t)s->regions && t[k]) {
            return unpack(s, t[k]);
        }
    }
    *trust = 3;
    return region < (int32_t)s->image_regions ? s->recent[0] : 0;
}

// What else the target's displacement may be: 0 and 1 the nearest other one of lower and of higher regions, then recent ones.
int32_t patch_candidate(const struct patch_state *s, const struct patch_guess *g, uint32_t k) {
    if (k >= 2) {
        return s->recent[k - 2];
    }
    int32_t r = g->site->region;
    for (uint32_t n = PATCH_NEAR; n && r >= 0 && r < (int32_t)s->regions; n--) {
        uint32_t e = s->node[s->at_table + (uint32_t)r];
        if (e && unpack(s, e) != g->d) {
            return unpack(s, e);
        }
        r += k ? 1 : -1;
    }
    return g->d;
}

// A place for targets that moved otherwise than their region, by a hash of the target: its lower 16 bits, then an entry.
static uint16_t *exact(struct patch_state *s, uint32_t target) {
    return s->node + s->at_exact + 2 * (target * 0x9e3779b1u >> (32 - PATCH_EXACT_BITS + s->info.lean));
}

// What the tables say of the site: displacement, entry, and how far that can be trusted.
void patch_look_up(struct patch_state *s, struct patch_guess *g) {
    uint32_t target = g->site->target;
    if (g->site->type == PATCH_LOAD) {
        g->entry = s->node + s->at_lines + ((target - s->info.base) >> 6 & ((PATCH_LINES >> s->info.lean) - 1));
        g->d = *g->entry ? unpack(s, *g->entry) : (int32_t)(s->new_pos - s->old_pos);
        g->trust = *g->entry ? 2 : 0;
        return;
    }
    const uint16_t *e = exact(s, target);
    int32_t r = g->site->region;
    g->entry = s->node + s->at_table + r;
    g->d = patch_displacement(s, r, &g->trust);
    if (e[1] && e[0] == (uint16_t)target) {
        g->d = unpack(s, e[1]);
        g->trust = 4;
    }
}

static void learn_exactly(struct patch_state *s, const struct patch_guess *g, uint16_t entry) {
    uint16_t *e = exact(s, g->site->target);
    if (g->site->type != PATCH_LOAD) {
        e[0] = (uint16_t)g->site->target;
        e[1] = entry;
    }
}

// That the target moved by d, and with it all of its region; `other` says that the region may well have moved otherwise.
void patch_learn(struct patch_state *s, const struct patch_guess *g, int32_t d, bool other) {
    *g->entry = (uint16_t)(pack(s, d) | SURE);
    if (other) {
        learn_exactly(s, g, *g->entry);
    }
}

// That the word stayed as it was.
void patch_learn_kept(struct patch_state *s, const struct patch_guess *g) {
    *g->entry = (uint16_t)(pack(s, g->d) | (*g->entry & SURE) | PATCH_KEPT);
    learn_exactly(s, g, (uint16_t)(pack(s, 0) | SURE));
}

// To the front of the recent displacements.
void patch_remember(struct patch_state *s, int32_t d) {
    uint32_t i = 0;
    while (i < PATCH_RECENT - 1 && s->recent[i] != d) {
        i++;
    }
    for (; i; i--) {
        s->recent[i] = s->recent[i - 1];
    }
    s->recent[0] = d;
}

// The n bytes after the current old byte move with this copy: news for the regions that no site has confirmed, or for n = 0 for one that is unknown.
void patch_fill(struct patch_state *s, uint32_t n) {
    uint32_t shift = s->info.region_shift, r = s->old_pos >> shift, last = (s->old_pos + n) >> shift;
    uint16_t *t = s->node + s->at_table;
    if (s->old_pos >= s->info.old_size || (!n && t[r])) {
        return;
    }
    uint16_t e = pack(s, (int32_t)(s->new_pos - s->old_pos));
    for (; r <= last && r < s->image_regions; r++) {
        if (!(t[r] & SURE)) {
            t[r] = e;
        }
    }
}

// A renumbered small number's entry: its shift in the high byte, confidence 0..3 in the low one.
uint16_t *patch_half(struct patch_state *s, uint32_t number) {
    return s->node + s->at_half + (number >> (PATCH_NUMBER_SHIFT + s->info.lean));
}

void patch_learn_half(struct patch_state *s, uint32_t old_number, uint32_t new_number) {
    int32_t d = (int32_t)(new_number - old_number);
    if (!d || old_number >= PATCH_NUMBERS || d < -127 || d > 127) {
        return;
    }
    uint16_t *e = patch_half(s, old_number);
    uint32_t confidence = *e & 3u, code = ((uint32_t)d & 255u) << 8;
    if (confidence && (*e & 0xff00u) != code) {
        --*e;
    } else {
        *e = (uint16_t)(code | (confidence < 3 ? confidence + 1 : 3));
    }
}
