// Header, input and output of the patch decoder (SPEC.md, sections 3.1 and 3.2).
// SPDX-License-Identifier: MIT
#include "patch_coder.h"

enum stage { STAGE_HEADER, STAGE_BASE, STAGE_BODY };

#define MAGIC 0x04506du // m, P and the version
#define SIZE_MAX_BYTES 0x1000000u

struct cursor {
    const uint8_t *p;
    uint32_t n;
    bool bad;
};

int ota_patch_init(void *state, uint32_t state_bytes) {
    struct patch_state *s = state;
    if ((uintptr_t)state & 3 || state_bytes < OTA_PATCH_STATE_MIN) {
        return OTA_E_PATCH_STATE;
    }
    uint32_t n = sizeof *s < state_bytes ? sizeof *s : state_bytes;
    memset(s, 0, n);
    s->state_bytes = state_bytes;
    return OTA_OK;
}

// The next byte of the header; past the end 0, and n wraps.
static uint32_t take(struct cursor *c) {
    uint32_t v = c->n ? *c->p++ : 0;
    c->n--;
    return v;
}

static bool cut(const struct cursor *c) {
    return c->n > PATCH_IN_BYTES;
}

static uint32_t take_number(struct cursor *c) {
    uint32_t v = 0, shift = 0, byte;
    do {
        if (cut(c)) {
            return 0;
        }
        byte = take(c);
        if (shift == 28 && byte > 15) {
            c->bad = true;
            return 0;
        }
        v |= (byte & 127) << shift;
        shift += 7;
    } while (byte & 128);
    return v;
}

static void take_hash(struct cursor *c, uint8_t *to) {
    for (uint32_t i = 0; i < 32 && !cut(c); i++) {
        to[i] = (uint8_t)take(c);
    }
}

static void take_window(struct cursor *c, struct ota_patch_window *w) {
    uint32_t start = take_number(c), size = take_number(c);
    c->bad |= !cut(c) && (start >> 16 || !size || size > 0x1000);
    w->start = start << 16;
    w->size = size << 12;
}

static void take_fields(struct cursor *c, struct ota_patch_info *h) {
    uint32_t v = take(c);
    h->arch = v & 15u;
    h->windows = (uint8_t)(v >> 4);
    v = take(c);
    h->lean = v & 15u;
    h->region_shift = (uint8_t)(v >> 4);
    h->state_bytes = take(c) << 8;
    h->old_size = take_number(c);
    v = take_number(c);
    h->new_size = h->old_size + (v & 1 ? ~(v >> 1) : v >> 1);
    h->base = take_number(c);
    c->bad |= !cut(c) && (h->arch >= OTA_PATCH_ARCHS || !patch_archs[h->arch] || h->windows > OTA_PATCH_WINDOWS || h->lean > 3 ||
                          h->region_shift < 5 || h->region_shift > 13 || h->old_size > SIZE_MAX_BYTES || h->new_size > SIZE_MAX_BYTES);
    for (uint32_t i = 0; i < h->windows && !c->bad && !cut(c); i++) {
        take_window(c, &h->window[i]);
    }
    take_hash(c, h->old_sha256);
    take_hash(c, h->new_sha256);
}

// Reads the header if all of it is there. OTA_PATCH_MORE if not.
static int header(struct patch_state *s) {
    struct cursor c = {.p = s->in + s->in_start, .n = (uint32_t)(s->in_end - s->in_start)};
    for (uint32_t i = 0; i < 3; i++) {
        if (c.n && take(&c) != (MAGIC >> 8 * i & 255)) {
            return i < 2 ? OTA_E_PATCH_MAGIC : OTA_E_PATCH_HEADER;
        }
    }
    if (!c.n) {
        return OTA_PATCH_MORE;
    }
    take_fields(&c, &s->info);
    if (c.bad) {
        return OTA_E_PATCH_HEADER;
    }
    if (cut(&c)) {
        return s->in_end == PATCH_IN_BYTES ? OTA_E_PATCH_HEADER : OTA_PATCH_MORE;
    }
    uint32_t need = patch_layout(s);
    if (need > s->info.state_bytes) {
        return OTA_E_PATCH_HEADER;
    }
    if (need > s->state_bytes) {
        return OTA_E_PATCH_STATE;
    }
    s->in_start = (uint8_t)(s->in_end - c.n);
    s->stage = STAGE_BASE;
    return OTA_PATCH_BASE;
}

// What is left moves to where it ends at a whole word: pieces that begin at one are then copied by words.
static void refill(struct patch_state *s, struct ota_patch_span *x) {
    uint32_t have = (uint32_t)(s->in_end - s->in_start), start = (0 - have) & 3, n = PATCH_IN_BYTES - start - have;
    memmove(s->in + start, s->in + s->in_start, have);
    if (n > x->in_n) {
        n = x->in_n;
    }
    if (n) {
        memcpy(s->in + start + have, x->in, n);
        x->in += n;
        x->in_n -= n;
    }
    s->in_start = (uint8_t)start;
    s->in_end = s->end = (uint8_t)(start + have + n);
}

// Zeros behind the patch's end: those left off, then what a step may take beyond before that is noticed.
static void pad(struct patch_state *s) {
    s->in_end = (uint8_t)(s->end + PATCH_PAST_END + PATCH_STEP_BYTES);
    memset(s->in + s->end, 0, PATCH_PAST_END + PATCH_STEP_BYTES);
}

static void begin(struct patch_state *s) {
    patch_model_init(s);
    s->stage = STAGE_BODY;
    s->interval.range = 0xffffffffu;
    for (uint32_t i = 0; i < 4; i++) {
        s->interval.code = s->interval.code << 8 | patch_next(s);
    }
}

// More input, if the next piece of work might lack it. `last` says that there is no more.
static int feed(struct patch_state *s, struct ota_patch_span *x, bool last) {
    bool in_header = s->stage == STAGE_HEADER;
    int least = (int)(in_header ? PATCH_IN_BYTES : PATCH_STEP_BYTES);
    if (s->in_end - s->in_start >= least) {
        return OTA_OK;
    }
    refill(s, x);
    if (in_header || s->in_end - s->in_start >= least) {
        return OTA_OK;
    }
    if (!last) {
        return OTA_PATCH_MORE;
    }
    pad(s);
    return OTA_OK;
}

// Steps straight into the output, or one of them beside it where room is short.
static int make(struct patch_state *s, const struct ota_patch_io *io, struct ota_patch_span *x) {
    bool direct = x->out_n >= PATCH_STEP_OUT;
    uint8_t *start = direct ? x->out : s->item;
    s->out.at = start;
    int r = patch_steps(s, io, direct ? x->out_n : PATCH_STEP_OUT);
    uint32_t n = (uint32_t)(s->out.at - start);
    if (!r && (s->in_start > s->in_end || s->in_start > s->end + PATCH_PAST_END)) {
        n = 0; // made of input that was not there
        r = OTA_E_PATCH_SIZE;
    }
    s->item_start = 0;
    s->item_end = (uint8_t)(direct ? 0 : n);
    if (direct) {
        x->out += n;
        x->out_n -= n;
    }
    return r;
}

// One piece of work. What was made before a fault is still to be put out.
static int advance(struct patch_state *s, const struct ota_patch_io *io, struct ota_patch_span *x, bool last) {
    int r = feed(s, x, last);
    if (r) {
        return r;
    }
    if (s->stage == STAGE_HEADER) {
        r = header(s);
        return r == OTA_PATCH_MORE && last ? OTA_E_PATCH_SIZE : r;
    }
    if (s->stage == STAGE_BASE) {
        begin(s);
    }
    if (s->new_pos == s->info.new_size) {
        return s->in_start < s->end || x->in_n ? OTA_E_PATCH_SIZE : OTA_PATCH_MORE;
    }
    return make(s, io, x);
}

// Puts out what the last steps made. Whether there was room for all of it.
static bool put_out(struct patch_state *s, struct ota_patch_span *x) {
    const uint8_t *b = s->item + s->item_start;
    uint32_t left = (uint32_t)(s->item_end - s->item_start), n = left < x->out_n ? left : x->out_n;
    uint8_t *out = x->out;
    s->item_start = (uint8_t)(s->item_start + n);
    x->out_n -= n;
    for (left -= n; n; n--) {
        *out++ = *b++;
    }
    x->out = out;
    return !left;
}

static int run(struct patch_state *s, const struct ota_patch_io *io, struct ota_patch_span *x, bool last) {
    while (put_out(s, x)) {
        if (s->error) {
            return s->error;
        }
        int r = advance(s, io, x, last);
        if (r > 0) {
            return r;
        }
        s->error = r;
    }
    return OTA_PATCH_FULL;
}

int ota_patch_push(void *state, const struct ota_patch_io *io, struct ota_patch_span *x) {
    return run(state, io, x, false);
}

int ota_patch_finish(void *state, const struct ota_patch_io *io, struct ota_patch_span *x) {
    int r = run(state, io, x, true);
    return r == OTA_PATCH_MORE ? OTA_OK : r;
}

const struct ota_patch_info *ota_patch_get_info(const void *state) {
    const struct patch_state *s = state;
    return s->stage == STAGE_HEADER ? NULL : &s->info;
}
