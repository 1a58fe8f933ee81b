// One step of a patch: a literal, the start of a copy, or what a copy makes of the next old bytes (SPEC.md, section 3.4).
// SPDX-License-Identifier: MIT
#include "patch_coder.h"

enum kind { KIND_SAME, KIND_INSERT, KIND_TABLE, KIND_RECENT, KIND_FAR };

static uint32_t at_most(uint32_t v, uint32_t limit) {
    return v < limit ? v : limit;
}

uint32_t patch_run_class(const struct patch_state *s) {
    uint32_t r = s->run;
    return r < 1 ? 0 : r < 4 ? 1 : r < 16 ? 2 : r < 48 ? 3 : r < 160 ? 4 : 5;
}

void patch_longer(struct patch_state *s, uint32_t n) {
    s->run = (uint8_t)at_most(s->run + n, 255);
}

void patch_emit(struct patch_state *s, uint32_t byte) {
    s->item[s->item_end++] = (uint8_t)byte;
    s->before = s->last;
    s->last = (uint8_t)byte;
    s->new_pos++;
    s->phase = (uint8_t)patch_arch(s)->advance(s, byte);
}

void patch_end_copy(struct patch_state *s) {
    s->copying = false;
    s->gap = 0;
    s->raw = 0;
}

// Four old bytes; those past the end read as zero.
static const uint8_t *old_bytes(struct patch_state *s, const struct ota_patch_io *io) {
    uint32_t at = s->old_pos - s->old_from;
    if (at > PATCH_OLD_BYTES - 4) {
        uint32_t n = s->old_pos < s->info.old_size ? at_most(s->info.old_size - s->old_pos, PATCH_OLD_BYTES) : 0;
        memset(s->old + n, 0, PATCH_OLD_BYTES - n);
        int r = n ? io->read(io->ctx, s->old_pos, s->old, n) : 0;
        if (r < 0) {
            s->error = r;
        }
        s->old_from = s->old_pos;
        at = 0;
    }
    return s->old + at;
}

static uint16_t *lane(struct patch_state *s, uint32_t at) {
    return patch_pool(s, at) + (s->info.model & PATCH_BY_PHASE ? s->phase * 256u : 0);
}

static int literal(struct patch_state *s, const struct ota_patch_io *io) {
    uint32_t c = patch_byte(s, io, lane(s, s->at_literal), s->last, patch_ask(io, PATCH_ASK_BYTE, NULL, 0));
    patch_emit(s, c);
    s->gap++;
    return OTA_OK;
}

// Where a copy may start without saying so: each kind's old offset. Recent and far ones need more.
static uint32_t expected(const struct patch_state *s, enum kind kind) {
    uint32_t same = s->old_pos + s->gap, confidence;
    if (kind == KIND_SAME) {
        return same;
    }
    if (kind == KIND_INSERT) {
        return s->old_pos;
    }
    int32_t r = patch_region(s, s->info.base + same);
    return r < 0 ? same : s->new_pos - (uint32_t)patch_displacement(s, r, &confidence);
}

// The encoder's choice: the first kind that says `want`.
static uint32_t choose(const struct patch_state *s, uint32_t want, uint32_t *k) {
    for (uint32_t kind = KIND_SAME; kind < KIND_RECENT; kind++) {
        if (want == expected(s, kind)) {
            return kind;
        }
    }
    for (*k = 0; *k < PATCH_RECENT; ++*k) {
        if (want == s->new_pos - (uint32_t)s->recent[*k]) {
            return KIND_RECENT;
        }
    }
    return KIND_FAR;
}

static int start(struct patch_state *s, const struct ota_patch_io *io) {
    uint32_t want = patch_ask(io, PATCH_ASK_OLD, NULL, 0), k = 0, pos;
    uint32_t kind = patch_tree(s, io, s->t_kind, 3, choose(s, want, &k));
    if (kind < KIND_RECENT) {
        pos = expected(s, kind);
    } else if (kind == KIND_RECENT) {
        k = patch_tree(s, io, s->t_recent[3], 3, k);
        pos = s->new_pos - (uint32_t)s->recent[k];
    } else if (kind == KIND_FAR) {
        uint32_t same = expected(s, KIND_SAME);
        pos = same + (uint32_t)patch_number(s, io, &s->n_offset, &s->wide[0], (int32_t)(want - same));
    } else {
        return OTA_E_PATCH_DATA;
    }
    if (pos >= s->info.old_size) {
        return OTA_E_PATCH_DATA;
    }
    s->old_pos = pos;
    s->copying = true;
    s->run = s->subs = s->plain = 0;
    patch_remember(s, (int32_t)(s->new_pos - pos));
    uint32_t reach = patch_tree(s, io, s->t_reach, 4, patch_ask(io, PATCH_ASK_REACH, NULL, 0));
    if (reach) {
        patch_fill(s, 128u << reach);
    }
    return OTA_OK;
}

static int gap_step(struct patch_state *s, const struct ota_patch_io *io) {
    uint32_t *f = &s->f_start[at_most(s->gap, 7) * 3 + s->phase];
    if (patch_flag(s, io, f, (int)patch_ask(io, PATCH_ASK_START, NULL, 0))) {
        return start(s, io);
    }
    return literal(s, io);
}

// A copied byte is out: half-words that were not taken as a site teach the table of renumbered ones.
static void copied(struct patch_state *s, uint32_t old, bool starts) {
    if (s->plain && s->info.model & PATCH_BY_HALF) {
        patch_learn_half(s, s->old_last | old << 8, s->before | (uint32_t)s->last << 8);
    }
    s->plain = starts;
    s->old_last = (uint8_t)old;
    s->old_pos++;
}

// Whether the next byte is not the old one.
static int byte_missed(struct patch_state *s, const struct ota_patch_io *io, const uint8_t *old) {
    uint32_t rc = patch_run_class(s);
    int want = !patch_ask(io, PATCH_ASK_EQUAL, old, 1);
    if (s->info.model & PATCH_BY_CLASS) {
        uint32_t class = patch_arch(s)->classify(s, old);
        return patch_raised_flag(s, io, &s->pool[rc * 48 + class], class << 8 | old[0], want);
    }
    return patch_flag(s, io, &s->pool[rc * 3 + s->phase], want);
}

static int byte_step(struct patch_state *s, const struct ota_patch_io *io, const uint8_t *old) {
    uint32_t o = old[0];
    bool starts = patch_half_starts(s);
    if (!byte_missed(s, io, old)) {
        patch_emit(s, o);
        patch_longer(s, 1);
        copied(s, o, starts);
        return OTA_OK;
    }
    // A copy makes at least one byte: there is no end to code before.
    if (s->run || s->subs) {
        uint32_t *f = &s->f_end[(at_most(s->subs, 3) * 3 + s->phase) * 6 + patch_run_class(s)];
        if (patch_flag(s, io, f, (int)patch_ask(io, PATCH_ASK_END, NULL, 0))) {
            patch_end_copy(s);
            return OTA_OK;
        }
    }
    s->run = 0;
    s->subs = (uint8_t)at_most(s->subs + 1u, 255);
    uint32_t d = patch_byte(s, io, lane(s, s->at_sub), 256 + o, (patch_ask(io, PATCH_ASK_BYTE, NULL, 0) - o) & 255);
    patch_emit(s, (o + d) & 255);
    copied(s, o, starts);
    return OTA_OK;
}

int patch_step(struct patch_state *s, const struct ota_patch_io *io) {
    s->item_start = s->item_end = 0;
    if (!s->copying) {
        return gap_step(s, io);
    }
    const uint8_t *old = old_bytes(s, io);
    if (s->error) {
        return s->error;
    }
    if (s->run > 8) {
        patch_fill(s, 0);
    }
    struct patch_site site;
    if (s->raw) {
        s->raw--;
    } else if (patch_find(s, &site, old)) {
        return patch_code_site(s, io, &site, old);
    }
    return byte_step(s, io, old);
}

// ---- layout and first values

uint32_t patch_layout(struct patch_state *s) {
    struct ota_patch_info *h = &s->info;
    uint32_t trees = h->model & PATCH_BY_PHASE ? 3 * 256 : 256, bits = h->model & 15u, n = h->region_shift;
    s->at_flags = 2 * 6 * (h->model & PATCH_BY_CLASS ? 48 : 3);
    s->at_literal = s->at_flags + (h->model & PATCH_BY_CLASS ? 1u << PATCH_FLAG_BITS : 0);
    s->at_sub = s->at_literal + trees;
    s->at_hash = s->at_sub + trees;
    s->at_half = s->at_hash + (bits ? 1u << bits : 0);
    s->at_table = s->at_half + (h->model & PATCH_BY_HALF ? PATCH_HALVES : 0);
    s->image_regions = (h->old_size + PATCH_BEYOND + (1u << n) - 1) >> n;
    s->regions = s->image_regions;
    for (uint32_t i = 0; i < h->windows; i++) {
        s->regions += h->window[i].size >> n;
    }
    return (uint32_t)offsetof(struct patch_state, pool) + 2 * (s->at_table + s->regions + (s->regions & 1));
}

static void set16(void *at, uint32_t bytes) {
    uint16_t *t = at;
    for (uint32_t n = bytes / 2; n; n--) {
        *t++ = 0x8000;
    }
}

// Flags start at the probability p / 65536 as if seen n times.
static void set32(uint32_t *f, uint32_t n, uint32_t p, uint32_t seen) {
    for (; n; n--) {
        *f++ = p << 16 | seen;
    }
}

void patch_model_init(struct patch_state *s) {
    static const uint16_t first[6] = {12288, 3072, 768, 256, 64, 10};
    static const uint16_t trust[4] = {16384, 8192, 1024, 16384};
    uint32_t classes = s->info.model & PATCH_BY_CLASS ? 48 : 3;
    for (uint32_t i = 0; i < 6; i++) {
        set32(s->pool + i * classes, classes, first[i], 8);
    }
    for (uint32_t i = 0; i < 24; i++) {
        set32(s->f_site + i * 8, 8, trust[i & 3], 3);
    }
    set32(s->f_half, 48, 16384, 3);
    set32(s->f_half + 16, 4, 1024, 3); // a constant that was never renumbered
    set32(s->f_half_bytes, 3, 16384, 2);
    set32(s->f_keep, 12, 16384, 2);
    set32(s->f_end, 72, 16384, 2);
    set32(s->f_start, 24, 8192, 2);
    set32(s->f_start, 3, 49152, 2);
    set16(s->t_kind, sizeof s->t_kind + sizeof s->t_reach + sizeof s->t_recent);
    set16(&s->n_offset, sizeof s->n_offset + sizeof s->n_shift + sizeof s->n_half);
    set16(patch_pool(s, s->at_literal), 2 * (s->at_half - s->at_literal));
    for (uint32_t i = 0; i < s->at_literal - s->at_flags; i++) {
        patch_pool(s, s->at_flags)[i] = 0x41;
    }
    memset(patch_pool(s, s->at_half), 0, 2 * (s->at_table - s->at_half + s->regions));
    memset(s->lines, 0, sizeof s->lines);
    memset(s->far, 0, sizeof s->far);
    memset(s->recent, 0, sizeof s->recent);
    s->old_from = 0u - PATCH_OLD_BYTES;
}
