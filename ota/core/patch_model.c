// One step of a patch: a literal, the start of a copy, or what a copy makes of the next old bytes (SPEC.md, section 3.4).
// SPDX-License-Identifier: MIT
#include "patch_coder.h"

static uint32_t at_most(uint32_t v, uint32_t limit) {
    return v < limit ? v : limit;
}

static uint32_t run_class(const struct patch_state *s) {
    uint32_t r = s->new_pos - s->run_from;
    return r < 4 ? r > 0 : r < 16 ? 2 : r < 48 ? 3 : r < 160 ? 4 : 5;
}

void patch_made(struct patch_state *s, uint32_t n) {
    uint8_t *b = s->out.at;
    s->out.at = b + n;
    s->before = n > 1 ? b[n - 2] : s->last;
    s->last = b[n - 1];
    s->new_pos += n;
    s->phase = (uint8_t)s->arch.is->advance(s, b, n);
}

void patch_emit(struct patch_state *s, const uint8_t *b, uint32_t n) {
    patch_copy4(s->out.at, b); // there is room: a step puts out once
    patch_made(s, n);
}

bool patch_may_end(const struct patch_state *s) {
    return s->new_pos != s->run_from || s->subs;
}

void patch_end_copy(struct patch_state *s) {
    s->copying = false;
    s->gap_from = s->literal_from = s->new_pos;
}

// PATCH_OLD_AHEAD old bytes; those past the end read as erased flash: padding is copied from there. NULL if reading failed.
static const uint8_t *old_bytes(struct patch_state *s, const struct ota_patch_io *io) {
    uint32_t at = s->old_pos - s->old_from;
    if (at > OTA_PATCH_READ_BYTES - PATCH_OLD_AHEAD) {
        uint32_t from = s->old_pos & ~3u, n = from < s->info.old_size ? at_most(s->info.old_size - from, OTA_PATCH_READ_BYTES) : 0;
        memset(s->old + n, 0xff, OTA_PATCH_READ_BYTES - n);
        int r = n ? io->read_old(io->ctx, from, s->old, n) : 0;
        if (r < 0) {
            s->error = r;
            return NULL;
        }
        s->old_from = from;
        at = s->old_pos - from;
    }
    return s->old + at;
}

// New bytes: by a tree, or verbatim, which costs bits and saves time.
static int literal_step(struct patch_state *s, uint32_t came) {
    uint32_t n = came < PATCH_MANY_LITERALS ? 1 : at_most(s->info.new_size - s->new_pos, PATCH_STEP_OUT), i = 0;
    uint8_t *to = s->out.at;
    do {
        uint32_t want = patch_ask(s, PATCH_ASK_BYTE, NULL, i);
        *to++ = (uint8_t)(s->verbatim ? patch_byte(s, want) : patch_tree(s, s->node + N_LITERAL, 8, want));
    } while (++i < n);
    patch_made(s, n);
    return OTA_OK;
}

// ---- starting a copy

static uint32_t same(const struct patch_state *s) {
    return s->old_pos + s->new_pos - s->gap_from;
}

static uint32_t far_from(const struct patch_state *s, uint32_t k) {
    return k ? s->ends[k - 1] : same(s);
}

// Where a copy of this kind starts. Recent and far ones need a number besides.
static uint32_t expected(const struct patch_state *s, uint32_t kind) {
    uint32_t at = kind == KIND_INSERT ? s->old_pos : same(s), trust;
    if (kind != KIND_TABLE) {
        return at;
    }
    int32_t r = patch_region(s, s->info.base + at);
    return r < 0 ? at : s->new_pos - (uint32_t)patch_displacement(s, r, &trust);
}

// The encoder's choice: the first kind that says `want`, else the nearest place to count from.
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
    uint32_t best = 0, least = 0xffffffffu;
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t d = want - far_from(s, i), far = (d >> 31 ? ~d : d) << (i ? 2 : 0);
        if (far < least) {
            least = far;
            best = i;
        }
    }
    return KIND_FAR + best;
}

static uint32_t start_place(struct patch_state *s, uint32_t kind, uint32_t want, uint32_t k) {
    if (kind < KIND_RECENT) {
        return expected(s, kind);
    }
    if (kind == KIND_RECENT) {
        k = patch_tree(s, s->node + N_RECENT + 3 * 16, 3, k);
        return s->new_pos - (uint32_t)s->recent[k];
    }
    uint32_t from = far_from(s, kind - KIND_FAR);
    return from + (uint32_t)patch_number(s, kind == KIND_FAR ? NUMBER_OFFSET : NUMBER_BACK, (int32_t)(want - from));
}

static int switch_verbatim(struct patch_state *s) {
    bool progress = s->switched != s->new_pos + 1;
    s->switched = s->new_pos + 1;
    s->verbatim ^= 1;
    return progress ? OTA_OK : OTA_E_PATCH_DATA;
}

// ---- repeats

static int start_repeat(struct patch_state *s, bool again) {
    if (!again) {
        s->distance = patch_count(s, COUNT_DISTANCE, patch_ask(s, PATCH_ASK_DISTANCE, NULL, 0) - 1) + 1;
    }
    uint32_t want = patch_ask(s, PATCH_ASK_LENGTH, NULL, 0) - PATCH_REPEAT_MIN, n = patch_tree(s, s->node + N_LENGTH, 3, at_most(want, 7));
    if (n == 7) {
        n += patch_count(s, COUNT_LENGTH, want - 7);
    }
    s->repeat = n + PATCH_REPEAT_MIN;
    s->made_end = 0;
    return s->distance - 1 < s->new_pos && s->repeat - 1 < s->info.new_size - s->new_pos ? OTA_OK : OTA_E_PATCH_DATA;
}

// The next n bytes to be repeated, which are out: read in the place of old ones, as far as this repeat goes. NULL if reading failed.
static const uint8_t *made_bytes(struct patch_state *s, const struct ota_patch_io *io, uint32_t n) {
    uint32_t at = s->new_pos - s->distance;
    if (at + n > s->made_end) {
        s->old_from = 0u - OTA_PATCH_READ_BYTES;
        s->made_from = at & ~3u;
        s->made_end = at_most(s->made_from + OTA_PATCH_READ_BYTES, at_most(s->new_pos, at + s->repeat));
        int r = io->read_new(io->ctx, s->made_from, s->old, s->made_end - s->made_from);
        if (r < 0) {
            s->error = r;
            return NULL;
        }
    }
    return s->old + (at - s->made_from);
}

static int repeat_step(struct patch_state *s, const struct ota_patch_io *io) {
    uint32_t n = at_most(s->repeat, PATCH_STEP_OUT);
    uint8_t *to = s->out.at;
    const uint8_t *b = made_bytes(s, io, at_most(n, s->distance));
    if (!b) {
        return s->error;
    }
    for (uint32_t i = 0; i < n; i++) {
        to[i] = i < s->distance ? b[i] : to[i - s->distance];
    }
    s->repeat -= n;
    patch_made(s, n);
    s->literal_from = s->new_pos;
    return OTA_OK;
}

static int start(struct patch_state *s) {
    uint32_t other = patch_ask(s, PATCH_ASK_KIND, NULL, 0), want = other ? 0 : patch_ask(s, PATCH_ASK_OLD, NULL, 0), k = 0;
    uint32_t kind = patch_tree(s, s->node + N_KIND, 4, PATCH_WANT(other ? other : choose(s, want, &k)));
    if (kind >= KIND_SWITCH) {
        return kind >= PATCH_KINDS ? OTA_E_PATCH_DATA : kind == KIND_SWITCH ? switch_verbatim(s) : start_repeat(s, kind == KIND_AGAIN);
    }
    uint32_t pos = start_place(s, kind, want, k);
    if (pos > s->info.old_size) {
        return OTA_E_PATCH_DATA;
    }
    s->ends[2] = s->ends[1];
    s->ends[1] = s->ends[0];
    s->ends[0] = s->old_pos;
    s->old_pos = pos;
    s->copying = true;
    s->subs = s->plain = 0;
    s->run_from = s->new_pos;
    s->fill_at = pos;
    patch_skew(s);
    patch_remember(s, (int32_t)(s->new_pos - pos));
    uint32_t reach = patch_tree(s, s->node + N_REACH, 4, patch_ask(s, PATCH_ASK_REACH, NULL, 0));
    if (reach) {
        patch_fill(s, 128u << reach);
    }
    return OTA_OK;
}

static int gap_step(struct patch_state *s) {
    uint32_t literals = s->new_pos - s->literal_from;
    uint16_t *node = s->node + N_START + at_most(literals, 7) * 3 + s->phase;
    return patch_node(s, node, (int)patch_ask(s, PATCH_ASK_START, NULL, 0)) ? start(s) : literal_step(s, literals);
}

// ---- inside a copy

// Whether a number of 16 bits may start at the next byte: at an even address, or behind an opcode of MicroPython that has one.
static bool half_starts(const struct patch_state *s) {
    return s->last >> 4 == 1 || (!((s->new_pos + s->info.base) & 1) && !((s->new_pos ^ s->old_pos) & 1));
}

// Puts out a byte of the copy: numbers that were not taken as a site teach the table of renumbered ones.
static void copied(struct patch_state *s, uint32_t old, uint32_t byte) {
    bool starts = half_starts(s);
    s->out.at[0] = (uint8_t)byte;
    patch_made(s, 1);
    if (s->plain) {
        patch_learn_half(s, s->old_last | old << 8, s->before | (uint32_t)s->last << 8);
    }
    s->plain = starts;
    s->old_last = (uint8_t)old;
    s->old_pos++;
}

// The byte before and the place of the next one in its instruction.
static uint32_t surroundings(const struct patch_state *s) {
    return s->last | (uint32_t)s->phase << 8;
}

// What is added to an old byte that changes: often what was added to the last such one. The encoder foresees this way (emit.cpp).
static uint32_t changed_by(struct patch_state *s, uint32_t old, uint32_t last) {
    uint32_t want = patch_ask(s, PATCH_ASK_BYTE, NULL, 0);
    if (s->verbatim) {
        return patch_byte(s, want) - old;
    }
    want = (want - old) & 255;
    uint32_t a = PATCH_CONTEXT(C_AGAIN, last), b = PATCH_CONTEXT(C_AGAIN + 1, surroundings(s));
    return last && patch_flag(s, F_AGAIN, a, b, want == last) ? last : patch_tree(s, s->node + N_SUB, 8, want);
}

// The n bytes of a unit or site that was missed, one by one. `differ` says that not all of them are as they were.
int patch_bytes(struct patch_state *s, const uint8_t *old, uint32_t n, bool differ) {
    for (; n; n--, old++) {
        uint8_t *change = patch_change(s, *old);
        if (n > 1 || !differ) { // else the last one differs, since no other did
            uint32_t f = F_IN + (differ ? n - 2 : s->run_from == s->new_pos ? 3 : 4) * 2 + !!*change;
            int want = !patch_ask(s, PATCH_ASK_EQUAL, old, 1);
            if (!patch_flag(s, f, PATCH_CONTEXT(C_IN, *old), PATCH_CONTEXT(C_IN + 1, surroundings(s)), want)) {
                *change = 0;
                copied(s, *old, *old);
                continue;
            }
        }
        if (patch_may_end(s)) {
            uint32_t f = F_END + at_most(s->subs, 2) * PATCH_RUNS + run_class(s);
            int want = (int)patch_ask(s, PATCH_ASK_END, NULL, 0);
            if (patch_flag(s, f, PATCH_CONTEXT(C_END, *old), PATCH_CONTEXT(C_END + 1, surroundings(s)), want)) {
                patch_end_copy(s);
                break;
            }
        }
        differ = false;
        s->subs = (uint8_t)at_most(s->subs + 1u, 255);
        *change = (uint8_t)changed_by(s, *old, *change);
        copied(s, *old, *old + *change);
        s->run_from = s->new_pos;
    }
    return OTA_OK;
}

static int unit_step(struct patch_state *s, const uint8_t *old, uint32_t n) {
    uint32_t run = run_class(s), last = old[n - 1], before = n > 1 ? old[n - 2] : s->last;
    uint32_t known = (*patch_change(s, last) ? 1u : 0) + (*patch_change(s, before) ? 2u : 0);
    uint32_t a = PATCH_CONTEXT(C_UNIT, (before << 8 | last) << 2 | known), b = PATCH_CONTEXT(C_UNIT + 1, known << 3 | n);
    if (patch_flag(s, F_UNIT + run, a, b, !patch_ask(s, PATCH_ASK_EQUAL, old, n))) {
        return patch_bytes(s, old, n, true);
    }
    if (n == 1) {
        copied(s, *old, *old);
        return OTA_OK;
    }
    if (s->plain) {
        patch_learn_half(s, s->old_last | (uint32_t)old[0] << 8, s->last | (uint32_t)old[0] << 8);
    }
    patch_emit(s, old, n);
    s->old_pos += n;
    s->plain = 0;
    return OTA_OK;
}

static int copy_step(struct patch_state *s, const struct ota_patch_io *io) {
    const uint8_t *old = old_bytes(s, io);
    if (!old) {
        return s->error;
    }
    // Of a region that is unknown, any copy is news.
    if (s->old_pos >= s->fill_at && s->new_pos - s->run_from > 8) {
        patch_fill(s, 0);
        s->fill_at = ((s->old_pos >> s->info.region_shift) + 1) << s->info.region_shift;
    }
    struct patch_site site;
    uint32_t unit = patch_look(s, &site, old);
    return unit ? unit_step(s, old, unit) : patch_code_site(s, &site, old);
}

int patch_steps(struct patch_state *s, const struct ota_patch_io *io, uint32_t room) {
    uint32_t n = at_most(room, s->info.new_size - s->new_pos);
    const uint8_t *last = s->out.at + (n < PATCH_STEP_OUT ? 0 : n - PATCH_STEP_OUT);
    int r;
    do {
        r = s->copying ? copy_step(s, io) : s->repeat ? repeat_step(s, io) : gap_step(s);
    } while (!r && s->out.at <= last && s->in_end - s->in_start >= (int)PATCH_STEP_BYTES);
    return r;
}

// ---- layout and first values

uint32_t patch_layout(struct patch_state *s) {
    struct ota_patch_info *h = &s->info;
    uint32_t n = h->region_shift;
    s->arch.is = patch_archs[h->arch];
    s->at_half = PATCH_WEIGHTS + (1u << PATCH_WEIGHT_BITS >> h->lean);
    s->at_exact = s->at_half + (PATCH_NUMBERS >> PATCH_NUMBER_SHIFT >> h->lean);
    s->at_lines = s->at_exact + (2u << PATCH_EXACT_BITS >> h->lean);
    s->at_table = s->at_lines + (PATCH_LINES >> h->lean);
    uint32_t start = h->base, size = h->old_size + PATCH_BEYOND;
    s->regions = 0;
    s->lowest = 255;
    s->highest = 0;
    for (uint32_t i = 0;; i++) {
        uint32_t first = start >> 24, last = (start + size - 1) >> 24;
        bool wraps = first > last;
        s->lowest = (uint8_t)(wraps ? 0 : at_most(first, s->lowest));
        s->highest = (uint8_t)(wraps ? 255 : last > s->highest ? last : s->highest);
        s->regions += ((size - 1) >> n) + 1;
        if (!i) {
            s->image_regions = s->regions;
        }
        if (i == h->windows) {
            break;
        }
        start = h->window[i].start;
        size = h->window[i].size;
    }
    return (uint32_t)offsetof(struct patch_state, node) + ((2 * (s->at_table + s->regions) + 3) & ~3u);
}

// The next n flags start at a weight.
#define FIRST(n, weight) ((uint32_t)(n) << 16 | ((uint32_t)(weight) & 0xffff))

static const uint32_t first[] = {
    // F_UNIT by run
    FIRST(1, -1685), FIRST(1, -4700), FIRST(1, -7553), FIRST(1, -9921), FIRST(1, -12772), FIRST(1, -17308),
    // F_SITE by trust
    FIRST(12, -2250), FIRST(12, -3985), FIRST(12, -8485), FIRST(12, -2250), FIRST(12, -9921),
    // F_HALF, where the second is a constant that was never renumbered, and all up to F_IN
    FIRST(4, -2250), FIRST(1, -8485), FIRST(F_IN - F_HALF - 5, -2250),
    // all others
    FIRST(PATCH_FLAGS - F_IN, 0),
};

void patch_model_init(struct patch_state *s) {
    uint16_t *weight = s->node + PATCH_NODES;
    uint32_t i;
    for (i = 0; i < sizeof first / sizeof *first; i++) {
        for (uint32_t n = first[i] >> 16; n; n--) {
            *weight++ = (uint16_t)first[i];
        }
    }
    for (i = 0; i < PATCH_NODES; i++) {
        s->node[i] = 0xc000 | PATCH_LEARN;
    }
    memset(s->node + PATCH_WEIGHTS, 0, 2 * (s->at_table - PATCH_WEIGHTS + s->regions));
    memset(s->far, 0, sizeof s->far);
    memset(s->recent, 0, sizeof s->recent);
    s->haste = 2;
    s->old_from = 0u - OTA_PATCH_READ_BYTES;
}
