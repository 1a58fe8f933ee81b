// The patch model: all that decoder and encoder must agree on (SPEC.md, section 3). Private to the patch files.
// SPDX-License-Identifier: MIT
#ifndef OTA_PATCH_MODEL_H
#define OTA_PATCH_MODEL_H

#include "patch.h"

// Input that a flag and a node take at most, in hundredths of a bit, and a step in bytes: a site has two flags, a tree of four nodes and four
// bytes, each three flags and a tree of eight. What the step before left is less than a byte.
#define PATCH_FLAG_INPUT 1601u
#define PATCH_NODE_INPUT 1110u
#define PATCH_STEP_BYTES ((2 * PATCH_FLAG_INPUT + 4 * PATCH_NODE_INPUT + 4 * (3 * PATCH_FLAG_INPUT + 8 * PATCH_NODE_INPUT) + 800) / 800)
#define PATCH_PAST_END 4u // zero bytes that may be left off a patch
// What is too little for a step, from any byte of a word on, and the zeros behind it: those left off and as many as a step may take. Holds a header.
#define PATCH_IN_BYTES ((3 + PATCH_STEP_BYTES - 1 + PATCH_PAST_END + PATCH_STEP_BYTES + 3) & ~3u)
#define PATCH_STEP_OUT 4u // a step makes at most so many bytes
#define PATCH_MANY_LITERALS 32u // after so many in a row PATCH_STEP_OUT of them share a flag
#define PATCH_REPEAT_MIN 2u // bytes
#define PATCH_OLD_AHEAD 8u // old bytes that a step may look at
#define PATCH_RECENT 8u
#define PATCH_FAR 32u
#define PATCH_NEAR 16u
#define PATCH_BEYOND 4096u // addresses so far behind the image's end still belong to it
#define PATCH_NUMBERS 4096u // numbers below may be renumbered
#define PATCH_NUMBER_SHIFT 4u
#define PATCH_LINES 128u
#define PATCH_EXACT_BITS 7u
#define PATCH_CHANGES 128u // bytes that differ in the lowest bit share one
#define PATCH_KEPT 2u // in an entry: the last word that points there stayed as it was
#define PATCH_LEARN 15u // how often a node is seen before it moves at a constant rate
#define PATCH_WEIGHT_BITS 11u // so many bits of a hash find a weight of a context
#define PATCH_TARGET_SHIFT 10u // addresses that differ below are one context
#define PATCH_RUNS 6u
#define PATCH_TRUSTS 5u
#define PATCH_GROUPS 6u // of words, calls and loads

// Where size counts less than what a call costs.
#define PATCH_INLINE static inline __attribute__((always_inline))

enum patch_site_type { PATCH_WORD, PATCH_CALL, PATCH_LOAD, PATCH_HALF, PATCH_CONSTANT };
enum { PATCH_NO_SITE = 255 };

// Where the own weights of each kind of flag begin.
enum {
    F_UNIT,
    F_SITE = F_UNIT + PATCH_RUNS,
    F_HALF = F_SITE + PATCH_TRUSTS * PATCH_GROUPS * 2,
    F_BYTES = F_HALF + 3 * 4,
    F_KEEP = F_BYTES + 3,
    F_END = F_KEEP + 3 * PATCH_TRUSTS,
    F_IN = F_END + 3 * PATCH_RUNS,
    F_AGAIN = F_IN + 5 * 2,
    PATCH_FLAGS,
};
// Where the nodes of each kind begin, and behind them the weights: signed, 2048ths of a logit; those of contexts are the first whose number
// depends on the patch.
enum {
    N_KIND,
    N_REACH = N_KIND + 16,
    N_RECENT = N_REACH + 16, // a tree for each type of site, then one for copies
    N_START = N_RECENT + 3 * 16 + 8, // by literals and phase
    N_LENGTH = N_START + 8 * 3,
    N_NUMBER = N_LENGTH + 8,
    N_LITERAL = N_NUMBER + 4 * 48,
    N_SUB = N_LITERAL + 256,
    PATCH_NODES = N_SUB + 256,
    PATCH_WEIGHTS = PATCH_NODES + PATCH_FLAGS,
};
// Each kind of flag has two contexts, of this number and the next.
enum patch_context { C_UNIT, C_SITE = 2, C_HALF = 4, C_BYTES = 6, C_KEEP = 8, C_END = 10, C_IN = 12, C_AGAIN = 14 };
#define PATCH_CONTEXT(number, value) ((uint32_t)(value) << 4 | (uint32_t)(number))
// Models of signed numbers, and of counts: what is rare shares one.
enum patch_number_model { NUMBER_OFFSET, NUMBER_BACK, NUMBER_SHIFT, NUMBER_HALF, COUNT_DISTANCE = NUMBER_BACK, COUNT_LENGTH = NUMBER_HALF };

struct patch_site {
    uint32_t target; // an address, or a small number
    int32_t region;  // of an address
    uint8_t type, size;
    uint8_t unit; // log2 of what targets are multiples of
};

// What the tables say of a site.
struct patch_guess {
    const struct patch_site *site;
    const uint8_t *old;
    int32_t d;
    uint32_t trust; // 0..4
    uint16_t *entry;
};

// The part of the coder's number line that the stream may still name.
struct patch_interval {
    uint32_t range, code;
};

// The layout of the caller's buffer. Tables whose size depends on the patch follow the nodes; their places are indices into `node`.
struct patch_state {
    uint32_t state_bytes;
    int32_t error;
    uint8_t stage, in_start, in_end, item_start, item_end;
    uint8_t end; // of what is the patch's in `in`; zeros may follow
    uint8_t copying, phase, subs;
    uint8_t last, before, old_last, plain, skew, far_next, verbatim;
    uint8_t haste; // log2 of how much faster weights move than they will
    uint8_t lowest, highest; // what the upper byte of an address in a region may be
    uint8_t item[PATCH_STEP_OUT];
    struct patch_interval interval;
    struct ota_patch_info info;
    uint32_t new_pos, old_pos, old_from, gap_from, run_from, ends[3];
    uint32_t literal_from; // where the literals since the last copy or repeat begin
    uint32_t repeat, distance; // bytes that are left of a repeat, and from how far back
    uint32_t made_from, made_end; // the part of the new image that `old` has meanwhile
    uint32_t switched; // where the last switch was, plus 1
    uint32_t fill_at; // where to look next whether a region is unknown
    uint32_t ones; // flags that were 1
    union {
        uint8_t *at; // where new bytes are put
        uint64_t room; // the same on every machine
    } out __attribute__((aligned(4)));
    union {
        const struct patch_arch *is;
        uint64_t room;
    } arch __attribute__((aligned(4)));
    uint32_t image_regions, regions;
    uint32_t at_half, at_exact, at_lines, at_table;
    uint8_t in[PATCH_IN_BYTES], old[OTA_PATCH_READ_BYTES];
    uint8_t changes[PATCH_CHANGES];
    int32_t recent[PATCH_RECENT], far[PATCH_FAR + 1];
    uint16_t node[];
};

struct patch_arch {
    // How many bytes from the old ones b on are kept or changed together, 1..4. `from` is the address of b. site->type becomes that
    // of a call, load or constant in b, or PATCH_NO_SITE.
    uint32_t (*look)(const struct patch_state *s, struct patch_site *site, const uint8_t *b, uint32_t from);
    // The place in the instruction, 0..2, of the byte after these n ones.
    uint32_t (*advance)(const struct patch_state *s, const uint8_t *b, uint32_t n);
    // Gives the site in b, now at address `to`, the target; false if it does not reach.
    bool (*place)(const struct patch_site *site, uint8_t *b, uint32_t to, uint32_t target);
};

// What was added to the last old byte like this one that was changed, 0 if one was kept since.
PATCH_INLINE uint8_t *patch_change(struct patch_state *s, uint32_t old) {
    return s->changes + old * PATCH_CHANGES / 256;
}

PATCH_INLINE void patch_copy4(uint8_t *to, const uint8_t *from) {
    to[0] = from[0];
    to[1] = from[1];
    to[2] = from[2];
    to[3] = from[3];
}

extern const struct patch_arch patch_raw, patch_xtensa, patch_thumb, patch_arm, patch_x86_64;
extern const struct patch_arch *const patch_archs[OTA_PATCH_ARCHS]; // NULL for one that this build does not have

// patch_model.c: the steps, and the state's layout
uint32_t patch_layout(struct patch_state *s); // bytes of state that s->info asks for
void patch_model_init(struct patch_state *s);
int patch_steps(struct patch_state *s, const struct ota_patch_io *io, uint32_t room); // at least one; makes at most room >= PATCH_STEP_OUT bytes at s->out
void patch_made(struct patch_state *s, uint32_t n);                   // the n bytes at s->out are new ones
void patch_emit(struct patch_state *s, const uint8_t *b, uint32_t n); // so are the first n of the four bytes b
bool patch_may_end(const struct patch_state *s); // a copy makes at least one byte
void patch_end_copy(struct patch_state *s);
int patch_bytes(struct patch_state *s, const uint8_t *old, uint32_t n, bool differ);

// patch_sites.c: addresses that moved
void patch_skew(struct patch_state *s);
uint32_t patch_look(struct patch_state *s, struct patch_site *site, const uint8_t *b); // 0 if a site is at the old bytes b, else as patch_arch.look, but not beyond the next site
int patch_code_site(struct patch_state *s, const struct patch_site *site, const uint8_t *old);
bool patch_place(const struct patch_state *s, const struct patch_site *site, uint8_t *b, uint32_t target);

// patch_tables.c: where addresses moved, and how numbers changed
int32_t patch_region(const struct patch_state *s, uint32_t address); // -1: in no window
int32_t patch_displacement(const struct patch_state *s, int32_t region, uint32_t *trust);
int32_t patch_candidate(const struct patch_state *s, const struct patch_guess *g, uint32_t k);
void patch_look_up(struct patch_state *s, struct patch_guess *g);
void patch_learn(struct patch_state *s, const struct patch_guess *g, int32_t d, bool other);
void patch_learn_kept(struct patch_state *s, const struct patch_guess *g);
void patch_remember(struct patch_state *s, int32_t d);
void patch_fill(struct patch_state *s, uint32_t n);
uint16_t *patch_half(struct patch_state *s, uint32_t number);
void patch_learn_half(struct patch_state *s, uint32_t old_number, uint32_t new_number);

// patch_symbols.c: decisions, trees and numbers over the coder
int patch_flag(struct patch_state *s, uint32_t f, uint32_t a, uint32_t b, int want); // a, b: each a PATCH_CONTEXT
int patch_node(struct patch_state *s, uint16_t *node, int want);
uint32_t patch_tree(struct patch_state *s, uint16_t *tree, uint32_t bits, uint32_t want);
int32_t patch_number(struct patch_state *s, enum patch_number_model model, int32_t want);
uint32_t patch_count(struct patch_state *s, enum patch_number_model model, uint32_t want);

#endif
