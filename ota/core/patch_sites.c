// Sites: places in the old image that hold an address, and the tables of where addresses moved (SPEC.md, section 3.5).
// SPDX-License-Identifier: MIT
#include "patch_coder.h"

// A table entry: displacement in 14 bits, then KEPT, then SURE; 0 is unknown.
#define SURE 1u // a site has confirmed it
#define KEPT 2u // the last word that points there stayed as it was
#define NEAR_LIMIT 0x1f80
#define FAR_CODE 0x3f00u

enum { ALTERNATIVE_NUMBER = PATCH_RECENT, ALTERNATIVE_BYTES, ALTERNATIVE_END };

int32_t patch_region(const struct patch_state *s, uint32_t address) {
    const struct ota_patch_info *h = &s->info;
    uint32_t first = s->image_regions;
    if (address - h->base < h->old_size + PATCH_BEYOND) {
        return (int32_t)((address - h->base) >> h->region_shift);
    }
    for (uint32_t i = 0; i < h->windows; i++) {
        uint32_t offset = address - h->window[i].start;
        if (offset < h->window[i].size) {
            return (int32_t)(first + (offset >> h->region_shift));
        }
        first += h->window[i].size >> h->region_shift;
    }
    return -1;
}

static int32_t unpack(const struct patch_state *s, uint32_t entry) {
    uint32_t v = entry >> 2;
    return v >= FAR_CODE ? s->far[v % PATCH_FAR] : (int32_t)v - NEAR_LIMIT;
}

// A displacement that does not fit goes through a ring of the last such ones.
static uint32_t pack(struct patch_state *s, int32_t d) {
    if (d > -NEAR_LIMIT && d < NEAR_LIMIT) {
        return (uint32_t)(d + NEAR_LIMIT) << 2;
    }
    uint32_t i = 0;
    while (i < PATCH_FAR && s->far[i] != d) {
        i++;
    }
    if (i == PATCH_FAR) {
        i = s->far_next++ % PATCH_FAR;
        s->far[i] = d;
    }
    return (FAR_CODE + i) << 2;
}

// The region's displacement, else the nearest known one's, else the latest (in the image) or none (in RAM).
int32_t patch_displacement(const struct patch_state *s, int32_t region, uint32_t *confidence) {
    const uint16_t *t = (const uint16_t *)s->pool + s->at_table + region;
    if (*t) {
        *confidence = 1 + (*t & SURE);
        return unpack(s, *t);
    }
    *confidence = 0;
    for (int32_t k = 1; k <= (int32_t)PATCH_NEAR; k++) {
        if (region >= k && t[-k]) {
            return unpack(s, t[-k]);
        }
        if (region + k < (int32_t)s->regions && t[k]) {
            return unpack(s, t[k]);
        }
    }
    *confidence = 3;
    return region < (int32_t)s->image_regions ? s->recent[0] : 0;
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

// The n bytes after the current old byte move with this copy: news for the regions that no site has confirmed. With
// n = 0 only for an unknown one.
void patch_fill(struct patch_state *s, uint32_t n) {
    uint32_t r = s->old_pos >> s->info.region_shift, last = (s->old_pos + n) >> s->info.region_shift;
    uint16_t *t = patch_pool(s, s->at_table);
    if (s->old_pos >= s->info.old_size || (!n && t[r])) {
        return;
    }
    uint32_t e = pack(s, (int32_t)(s->new_pos - s->old_pos));
    for (; r <= last && r < s->image_regions; r++) {
        if (!(t[r] & SURE)) {
            t[r] = (uint16_t)e;
        }
    }
}

static int emit_site(struct patch_state *s, const struct patch_site *site, const uint8_t *b) {
    for (uint32_t i = 0; i < site->size; i++) {
        patch_emit(s, b[i]);
    }
    s->old_pos += site->size;
    patch_longer(s, site->size);
    s->plain = 0;
    return OTA_OK;
}

// ---- renumbered small numbers: displacement in the high byte, confidence 0..3 in the low one

static uint16_t *half_entry(struct patch_state *s, uint32_t half) {
    return patch_pool(s, s->at_half) + (half >> 3);
}

// Where a number of 16 bits may stand: at an even address, or behind an opcode of MicroPython that has one.
bool patch_half_starts(const struct patch_state *s) {
    return s->last >> 4 == 1 || (!((s->new_pos + s->info.base) & 1) && !((s->new_pos ^ s->old_pos) & 1));
}

void patch_learn_half(struct patch_state *s, uint32_t old_half, uint32_t new_half) {
    int32_t d = (int32_t)(new_half - old_half);
    if (!d || old_half >= PATCH_HALVES * 8 || d < -127 || d > 127) {
        return;
    }
    uint16_t *e = half_entry(s, old_half);
    uint32_t confidence = *e & 3u, code = ((uint32_t)d & 255u) << 8;
    if (confidence && (*e & 0xff00u) != code) {
        *e = (uint16_t)(*e - 1u);
    } else {
        *e = (uint16_t)(code | (confidence < 3 ? confidence + 1 : 3));
    }
}

static void put_half(const struct patch_state *s, const struct patch_site *site, uint8_t *b, uint32_t value) {
    if (site->type == PATCH_CONSTANT) {
        patch_arch(s)->load(b, value & 0xfff);
    } else {
        b[0] = (uint8_t)value;
        b[1] = (uint8_t)(value >> 8);
    }
}

static int half_site(struct patch_state *s, const struct ota_patch_io *io, const struct patch_site *site, const uint8_t *old) {
    uint16_t *e = half_entry(s, site->target);
    uint32_t confidence = *e & 3u, type = site->type, kind = type == PATCH_CONSTANT ? 1 : s->last >> 4 == 1 ? 2 : 0;
    uint32_t value = site->target + (confidence ? (*e >> 8) - (*e & 0x8000u ? 256u : 0) : 0);
    struct patch_guess g = {.site = site, .old = {old[0], old[1], old[2], old[3]}};
    put_half(s, site, g.old, value);
    uint32_t *f = &s->f_half[(kind * 4 + confidence) * 4 + (s->history[type] & 3u)];
    int miss = patch_flag(s, io, f, !patch_ask(io, PATCH_ASK_EQUAL, g.old, site->size));
    s->history[type] = (uint8_t)(s->history[type] << 1 | miss);
    if (!miss) {
        if (confidence && confidence < 3) {
            ++*e;
        }
        return emit_site(s, site, g.old);
    }
    if (confidence) {
        --*e;
    }
    uint32_t want = patch_ask(io, PATCH_ASK_HALF, &g, 0);
    if (patch_flag(s, io, &s->f_half_bytes[kind], want == PATCH_NO_SHIFT)) {
        s->raw = site->size;
        return OTA_OK;
    }
    s->run = 0;
    value = site->target + (uint32_t)patch_number(s, io, &s->n_half, &s->wide[3], (int32_t)(want - site->target));
    put_half(s, site, g.old, value);
    patch_learn_half(s, site->target, value);
    return emit_site(s, site, g.old);
}

// ---- sites

static bool find_half(struct patch_state *s, struct patch_site *site, const uint8_t *b) {
    if (!(s->info.model & PATCH_BY_HALF)) {
        return false;
    }
    site->type = PATCH_CONSTANT;
    site->size = (uint8_t)patch_arch(s)->constant(s, b, &site->target);
    if (site->size) {
        return true;
    }
    site->type = PATCH_HALF;
    site->size = 2;
    site->target = ota_get_le16(b);
    return site->target < PATCH_HALVES * 8 && *half_entry(s, site->target) & 3u && patch_half_starts(s);
}

bool patch_find(struct patch_state *s, struct patch_site *site, const uint8_t *b) {
    uint32_t from = s->info.base + s->old_pos;
    if (s->old_pos + 4 > s->info.old_size || s->new_pos + 4 > s->info.new_size) {
        return false;
    }
    if (s->info.arch != OTA_PATCH_RAW && !(from & 3) && !((s->old_pos ^ s->new_pos) & 3)) {
        site->type = PATCH_WORD;
        site->size = 4;
        site->unit = 0;
        site->target = ota_get_le32(b);
        if (patch_region(s, site->target) >= 0) {
            return true;
        }
    }
    if (patch_arch(s)->find(s, site, b, from) && patch_region(s, site->target) >= 0) {
        return true;
    }
    return find_half(s, site, b);
}

static bool place(const struct patch_state *s, const struct patch_site *site, uint8_t *b, uint32_t target) {
    if (site->type == PATCH_WORD) {
        ota_put_le32(b, target);
        return true;
    }
    return patch_arch(s)->place(site, b, s->info.base + s->new_pos, target);
}

// Which alternative is right, for the encoder.
static uint32_t choose(struct patch_state *s, const struct ota_patch_io *io, const struct patch_guess *g, int32_t *want) {
    const struct patch_site *site = g->site;
    uint8_t b[4];
    if (patch_ask(io, PATCH_ASK_END, NULL, 0)) {
        return ALTERNATIVE_END;
    }
    for (uint32_t k = 0; k < PATCH_RECENT; k++) {
        memcpy(b, g->old, 4);
        if (place(s, site, b, site->target + (uint32_t)s->recent[k]) && patch_ask(io, PATCH_ASK_EQUAL, b, site->size)) {
            return k;
        }
    }
    uint32_t shift = patch_ask(io, PATCH_ASK_SHIFT, g, 0);
    if (shift == PATCH_NO_SHIFT || (shift - (uint32_t)g->d) & ((1u << site->unit) - 1)) {
        return ALTERNATIVE_BYTES;
    }
    *want = (int32_t)(shift - (uint32_t)g->d) >> site->unit;
    return ALTERNATIVE_NUMBER;
}

// Neither the moved target nor the old bytes: says what stands there instead.
static int alternative(struct patch_state *s, const struct ota_patch_io *io, const struct patch_guess *g) {
    const struct patch_site *site = g->site;
    int32_t want = 0, d;
    uint32_t k = patch_tree(s, io, s->t_recent[site->type], 4, choose(s, io, g, &want));
    if (k == ALTERNATIVE_END && (s->run || s->subs)) {
        patch_end_copy(s);
        return OTA_OK;
    }
    s->run = 0;
    if (k == ALTERNATIVE_BYTES) {
        s->raw = site->size;
        return OTA_OK;
    }
    if (k < PATCH_RECENT) {
        d = s->recent[k];
    } else if (k == ALTERNATIVE_NUMBER) {
        uint32_t m = site->type != PATCH_WORD;
        uint32_t v = (uint32_t)patch_number(s, io, &s->n_shift[m], &s->wide[1 + m], want);
        d = (int32_t)((uint32_t)g->d + (v << site->unit));
    } else {
        return OTA_E_PATCH_DATA;
    }
    uint8_t b[4];
    memcpy(b, g->old, 4);
    if (!place(s, site, b, site->target + (uint32_t)d)) {
        return OTA_E_PATCH_DATA;
    }
    patch_remember(s, d);
    *g->entry = (uint16_t)(pack(s, d) | SURE);
    return emit_site(s, site, b);
}

// The old bytes stand although the target should have moved: what that teaches.
static void keep(struct patch_state *s, const struct patch_guess *g) {
    if (g->site->type != PATCH_WORD) {
        *g->entry = (uint16_t)(pack(s, (int32_t)(s->new_pos - s->old_pos)) | SURE);
    } else {
        *g->entry = (uint16_t)(pack(s, g->d) | (*g->entry & SURE) | KEPT);
    }
}

// What the tables say of the site: displacement, entry, and how sure it is, 0..3.
static uint32_t guess(struct patch_state *s, struct patch_guess *g) {
    const struct patch_site *site = g->site;
    uint32_t confidence;
    if (site->type == PATCH_LOAD) {
        g->entry = &s->lines[(site->target - s->info.base) >> 6 & (PATCH_LINES - 1)];
        g->d = *g->entry ? unpack(s, *g->entry) : (int32_t)(s->new_pos - s->old_pos);
        return *g->entry ? 2 : 0;
    }
    int32_t r = patch_region(s, site->target);
    g->entry = patch_pool(s, s->at_table) + r;
    g->d = patch_displacement(s, r, &confidence);
    return confidence;
}

int patch_code_site(struct patch_state *s, const struct ota_patch_io *io, const struct patch_site *site, const uint8_t *old) {
    if (site->type >= PATCH_HALF) {
        return half_site(s, io, site, old);
    }
    struct patch_guess g = {.site = site, .old = {old[0], old[1], old[2], old[3]}};
    uint32_t confidence = guess(s, &g), type = site->type;
    uint8_t moved[4] = {old[0], old[1], old[2], old[3]};
    bool placed = place(s, site, moved, site->target + (uint32_t)g.d);
    bool same = !memcmp(moved, g.old, 4);
    bool kept = type == PATCH_WORD && *g.entry & KEPT && !same;
    const uint8_t *first = kept ? g.old : moved, *second = kept ? moved : g.old;
    // Words below 64 KiB may well be plain integers: they have a history and flags of their own.
    bool small = type == PATCH_WORD && site->target < 0x10000;
    uint8_t *history = &s->history[small ? PATCH_NO_SITE : type];
    uint32_t group = type == PATCH_WORD ? kept + 2u * small : 3 + type;
    uint32_t *f = &s->f_site[((group * 4 + confidence) * 4 + (*history & 3u)) * 2 + same];
    int miss = patch_flag(s, io, f, !patch_ask(io, PATCH_ASK_EQUAL, first, site->size));
    *history = (uint8_t)(*history << 1 | miss);
    if (!miss) {
        if (placed && !kept) {
            *g.entry = (uint16_t)(pack(s, g.d) | SURE);
        }
        return emit_site(s, site, first);
    }
    if (!same && patch_flag(s, io, &s->f_keep[type * 4 + confidence], (int)patch_ask(io, PATCH_ASK_EQUAL, second, site->size))) {
        s->run = 0;
        if (kept) {
            *g.entry = (uint16_t)(pack(s, g.d) | SURE);
        } else {
            keep(s, &g);
        }
        return emit_site(s, site, second);
    }
    return alternative(s, io, &g);
}
