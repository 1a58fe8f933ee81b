// Sites: places in the old image that hold an address or a number that may have changed (SPEC.md, section 3.5).
// SPDX-License-Identifier: MIT
#include "patch_coder.h"

// Behind the candidates for a displacement.
enum { ALTERNATIVE_NUMBER = PATCH_RECENT + 2, ALTERNATIVE_BYTES, ALTERNATIVE_END };

static int site_done(struct patch_state *s, const struct patch_site *site, const uint8_t *b) {
    patch_emit(s, b, site->size);
    s->old_pos += site->size;
    s->plain = 0;
    if (site->type == PATCH_WORD) {
        s->phase = 0; // what follows a word is another one or an instruction
    }
    return OTA_OK;
}

// ---- finding

// How the new image's alignment differs from the old one's while this copy lasts. To plain bytes no words are alike.
void patch_skew(struct patch_state *s) {
    s->skew = (uint8_t)((s->old_pos ^ s->new_pos) & 3) | (s->info.arch == OTA_PATCH_RAW ? 2 : 0);
}

// A number of 16 bits that is known to have changed: at an even address, or behind an opcode of MicroPython that has one.
PATCH_INLINE bool half_at(struct patch_state *s, const uint8_t *b, uint32_t aligned, uint32_t before) {
    return b[1] < PATCH_NUMBERS >> 8 && (!(aligned & 1) || before >> 4 == 1) && *patch_half(s, ota_get_le16(b)) & 3u;
}

// Most words are no addresses: their upper byte tells.
PATCH_INLINE bool word_at(const struct patch_state *s, const uint8_t *b, uint32_t aligned) {
    return !(aligned & 3) && b[3] >= s->lowest && b[3] <= s->highest;
}

// Whether the target is in a region.
static bool known(struct patch_state *s, struct patch_site *site) {
    site->region = patch_region(s, site->target);
    return site->region >= 0;
}

uint32_t patch_look(struct patch_state *s, struct patch_site *site, const uint8_t *b) {
    uint32_t at = s->info.base + s->old_pos, skew = s->skew, ahead = s->info.new_size - s->new_pos;
    if (ahead < 4) {
        uint32_t n = s->arch.is->look(s, site, b, at);
        return n < ahead ? n : ahead;
    }
    if (word_at(s, b, at | skew)) {
        site->target = ota_get_le32(b);
        if (known(s, site)) {
            site->type = PATCH_WORD;
            site->size = 4;
            site->unit = 0;
            return 0;
        }
    }
    uint32_t n = s->arch.is->look(s, site, b, at);
    if (site->type != PATCH_NO_SITE && (site->type == PATCH_CONSTANT ? site->target < PATCH_NUMBERS : known(s, site))) {
        return 0;
    }
    if (half_at(s, b, at | skew, s->last)) {
        site->type = PATCH_HALF;
        site->size = 2;
        site->target = ota_get_le16(b);
        return 0;
    }
    ahead -= 3; // a site inside needs four bytes
    ahead = ahead < n ? ahead : n;
    uint32_t word = (0 - at) & 3;
    if (word && word < ahead && word_at(s, b + word, skew) && patch_region(s, ota_get_le32(b + word)) >= 0) {
        n = ahead = word;
    }
    for (uint32_t i = 1; i < ahead; i++) {
        if (half_at(s, b + i, (at + i) | skew, b[i - 1])) {
            return i;
        }
    }
    return n;
}

bool patch_place(const struct patch_state *s, const struct patch_site *site, uint8_t *b, uint32_t target) {
    if (site->type == PATCH_WORD) {
        ota_put_le32(b, target);
        return true;
    }
    if (site->type == PATCH_HALF) {
        b[0] = (uint8_t)target;
        b[1] = (uint8_t)(target >> 8);
        return true;
    }
    return s->arch.is->place(site, b, s->info.base + s->new_pos, target);
}

static bool place(const struct patch_state *s, const struct patch_guess *g, uint8_t *b, int32_t d) {
    patch_copy4(b, g->old);
    return patch_place(s, g->site, b, g->site->target + (uint32_t)d);
}

// ---- coding

static int half_site(struct patch_state *s, const struct patch_guess *g) {
    const struct patch_site *site = g->site;
    uint16_t *e = patch_half(s, site->target);
    uint32_t trust = *e & 3u, kind = site->type == PATCH_CONSTANT ? 1 : s->last >> 4 == 1 ? 2 : 0;
    uint8_t b[4];
    place(s, g, b, trust ? (int8_t)(*e >> 8) : 0);
    uint32_t last = s->last, value = site->target;
    int want = !patch_ask(s, PATCH_ASK_SITE, b, site->size);
    if (!patch_flag(s, F_HALF + kind * 4 + trust, PATCH_CONTEXT(C_HALF, value), PATCH_CONTEXT(C_HALF + 1, last), want)) {
        if (trust && trust < 3) {
            ++*e;
        }
        return site_done(s, site, b);
    }
    if (trust) {
        --*e;
    }
    uint32_t now = patch_ask(s, PATCH_ASK_HALF, g, 0);
    if (patch_flag(s, F_BYTES + kind, PATCH_CONTEXT(C_BYTES, value), PATCH_CONTEXT(C_BYTES + 1, last), now == PATCH_NO_SHIFT)) {
        return patch_bytes(s, g->old, site->size, false);
    }
    s->run_from = s->new_pos;
    int32_t d = patch_number(s, NUMBER_HALF, (int32_t)(now - site->target));
    place(s, g, b, d);
    patch_learn_half(s, site->target, site->target + (uint32_t)d);
    return site_done(s, site, b);
}

// Which alternative is right, for the encoder.
static uint32_t choose(struct patch_state *s, const struct patch_guess *g, int32_t *want) {
    const struct patch_site *site = g->site;
    uint8_t b[4];
    if (patch_ask(s, PATCH_ASK_END, NULL, 0)) {
        return ALTERNATIVE_END;
    }
    for (uint32_t k = 0; k < ALTERNATIVE_NUMBER; k++) {
        if (place(s, g, b, patch_candidate(s, g, k)) && patch_ask(s, PATCH_ASK_EQUAL, b, site->size)) {
            return k;
        }
    }
    uint32_t shift = patch_ask(s, PATCH_ASK_SHIFT, g, 0), more = shift - (uint32_t)g->d;
    // The one number that has no code is no shift either.
    if (shift == PATCH_NO_SHIFT || more == PATCH_NO_SHIFT || more & ((1u << site->unit) - 1)) {
        return ALTERNATIVE_BYTES;
    }
    *want = (int32_t)more >> site->unit;
    return ALTERNATIVE_NUMBER;
}

// Neither the moved target nor the old bytes: says what stands there instead.
static int alternative(struct patch_state *s, const struct patch_guess *g) {
    const struct patch_site *site = g->site;
    int32_t want = 0, d;
    uint32_t k = patch_tree(s, s->node + N_RECENT + 16u * site->type, 4, PATCH_WANT(choose(s, g, &want)));
    if (k == ALTERNATIVE_END && patch_may_end(s)) {
        patch_end_copy(s);
        return OTA_OK;
    }
    s->run_from = s->new_pos;
    if (k == ALTERNATIVE_BYTES) {
        return patch_bytes(s, g->old, site->size, true);
    }
    if (k < ALTERNATIVE_NUMBER) {
        d = patch_candidate(s, g, k);
    } else if (k == ALTERNATIVE_NUMBER) {
        uint32_t v = (uint32_t)patch_number(s, NUMBER_SHIFT, want);
        d = (int32_t)((uint32_t)g->d + (v << site->unit));
    } else {
        return OTA_E_PATCH_DATA;
    }
    uint8_t b[4];
    if (!place(s, g, b, d)) {
        return OTA_E_PATCH_DATA;
    }
    patch_remember(s, d);
    patch_learn(s, g, d, true);
    return site_done(s, site, b);
}

// The second guess was right: what that teaches. `moved` says that the second was the moved target.
static void learn_second(struct patch_state *s, const struct patch_guess *g, bool moved) {
    if (moved || g->site->type != PATCH_WORD) {
        patch_learn(s, g, moved ? g->d : (int32_t)(s->new_pos - s->old_pos), true);
    } else {
        patch_learn_kept(s, g);
    }
}

int patch_code_site(struct patch_state *s, const struct patch_site *site, const uint8_t *old) {
    struct patch_guess g;
    g.site = site;
    g.old = old;
    if (site->type >= PATCH_HALF) {
        return half_site(s, &g);
    }
    patch_look_up(s, &g);
    uint8_t moved[4];
    bool placed = place(s, &g, moved, g.d), same = !memcmp(moved, old, 4), word = site->type == PATCH_WORD;
    // Words below 64 KiB may well be plain integers, even ones most of all.
    bool small = word && site->target < 0x10000;
    bool kept = word && !same && g.trust != 4 && (*g.entry & PATCH_KEPT || (small && !(site->target & 1)));
    const uint8_t *first = kept ? old : moved, *second = kept ? moved : old;
    uint32_t group = word ? small * 2u + kept : 3u + site->type, f = F_SITE + (g.trust * PATCH_GROUPS + group) * 2 + same;
    uint32_t shift = (uint32_t)g.d << 3, where = site->target >> PATCH_TARGET_SHIFT;
    int want = !patch_ask(s, PATCH_ASK_SITE, first, site->size);
    if (!patch_flag(s, f, PATCH_CONTEXT(C_SITE, shift | group), PATCH_CONTEXT(C_SITE + 1, where), want)) {
        if (placed && !kept && g.trust != 2 && g.trust != 4) {
            patch_learn(s, &g, g.d, false);
        }
        return site_done(s, site, first);
    }
    f = F_KEEP + site->type * PATCH_TRUSTS + g.trust;
    want = !same && patch_ask(s, PATCH_ASK_EQUAL, second, site->size);
    if (!same && patch_flag(s, f, PATCH_CONTEXT(C_KEEP, g.d), PATCH_CONTEXT(C_KEEP + 1, where), want)) {
        s->run_from = s->new_pos;
        learn_second(s, &g, kept);
        return site_done(s, site, second);
    }
    return alternative(s, &g);
}
