// The patch model: all that decoder and encoder must agree on (SPEC.md, section 3). Private to the patch files.
// SPDX-License-Identifier: MIT
#ifndef OTA_PATCH_MODEL_H
#define OTA_PATCH_MODEL_H

#include "patch.h"

#define PATCH_HEADER_MAX 112u
#define PATCH_IN_BYTES 120u // holds a header; a step takes at most PATCH_STEP_BYTES
#define PATCH_STEP_BYTES 40u
#define PATCH_OLD_BYTES 128u
#define PATCH_RECENT 8u
#define PATCH_FAR 64u
#define PATCH_NEAR 16u
#define PATCH_BEYOND 4096u // addresses so far behind the image's end still belong to it
#define PATCH_LINES 256u
#define PATCH_HALVES 512u
#define PATCH_FLAG_BITS 10u

// Bits of info.model above the four of literal_bits.
#define PATCH_BY_PHASE 0x10u // byte trees of their own for each place in an instruction
#define PATCH_BY_CLASS 0x20u // byte flags of their own for each class of instruction
#define PATCH_BY_HALF 0x40u  // renumbered half-words

enum patch_site_type { PATCH_WORD, PATCH_CALL, PATCH_LOAD, PATCH_HALF, PATCH_CONSTANT, PATCH_NO_SITE };

struct patch_site {
    uint32_t target; // an address
    uint8_t type, size;
    uint8_t unit; // log2 of what targets are multiples of
};

// What the tables say of a site.
struct patch_guess {
    const struct patch_site *site;
    uint8_t old[4];
    int32_t d;
    uint16_t *entry;
};

struct patch_number {
    uint16_t length[2][32], top[32];
};

// The layout of the caller's buffer. Tables whose size depends on the patch follow; their places are indices into `pool`.
struct patch_state {
    uint32_t state_bytes;
    int32_t error;
    uint8_t stage, in_start, in_end, item_start, item_end;
    uint8_t copying, phase, run, raw, subs;
    uint8_t last, before, old_last, plain, history[6], wide[4];
    uint8_t item[4], in[PATCH_IN_BYTES], old[PATCH_OLD_BYTES];
    struct ota_patch_info info;
    uint32_t range, code, past_end;
    uint32_t new_pos, old_pos, old_from, gap, done;
    uint32_t image_regions, regions, far_next;
    int32_t recent[PATCH_RECENT], far[PATCH_FAR];
    uint32_t f_site[6 * 4 * 4 * 2], f_half[3 * 4 * 4], f_half_bytes[3], f_keep[3 * 4], f_end[4 * 3 * 6], f_start[8 * 3];
    uint16_t t_kind[8], t_reach[16], t_recent[4][16];
    struct patch_number n_offset, n_shift[2], n_half;
    uint16_t lines[PATCH_LINES];
    uint32_t at_flags, at_literal, at_sub, at_hash, at_half, at_table; // places in the pool
    uint32_t pool[1];                            // byte flags, then 16-bit tables
};

struct patch_arch {
    // The class of the old byte b[0], 0..47; the tens are the place in the instruction.
    uint32_t (*classify)(const struct patch_state *s, const uint8_t *b);
    // The place in the instruction, 0..2, of the byte after `byte`.
    uint32_t (*advance)(const struct patch_state *s, uint32_t byte);
    // Looks for a call or a load in the four old bytes b, which are at address `from`.
    bool (*find)(const struct patch_state *s, struct patch_site *site, const uint8_t *b, uint32_t from);
    // Gives the site in b, now at address `to`, the target; false if it does not reach.
    bool (*place)(const struct patch_site *site, uint8_t *b, uint32_t to, uint32_t target);
    // Looks for an instruction that loads a small constant: its size, and the constant; 0 for none.
    uint32_t (*constant)(const struct patch_state *s, const uint8_t *b, uint32_t *value);
    // Puts another constant, 0..4095, into it.
    void (*load)(uint8_t *b, uint32_t value);
};

extern const struct patch_arch patch_raw, patch_xtensa, patch_thumb, patch_arm, patch_x86_64;

const struct patch_arch *patch_arch(const struct patch_state *s);

// patch_model.c: one step, and the state's layout
uint32_t patch_layout(struct patch_state *s); // bytes of state that s->info asks for
void patch_model_init(struct patch_state *s);
int patch_step(struct patch_state *s, const struct ota_patch_io *io); // makes up to four bytes at s->item
void patch_emit(struct patch_state *s, uint32_t byte);
void patch_end_copy(struct patch_state *s);
uint32_t patch_run_class(const struct patch_state *s);
void patch_longer(struct patch_state *s, uint32_t n);

// patch_sites.c: addresses that moved
bool patch_find(struct patch_state *s, struct patch_site *site, const uint8_t *b);
int patch_code_site(struct patch_state *s, const struct ota_patch_io *io, const struct patch_site *site, const uint8_t *old);
void patch_fill(struct patch_state *s, uint32_t n);
bool patch_half_starts(const struct patch_state *s);
void patch_learn_half(struct patch_state *s, uint32_t old_half, uint32_t new_half);
int32_t patch_region(const struct patch_state *s, uint32_t address); // -1: in no window
int32_t patch_displacement(const struct patch_state *s, int32_t region, uint32_t *confidence);
void patch_remember(struct patch_state *s, int32_t d);

// patch_symbols.c: decisions, trees and numbers over the coder
int patch_flag(struct patch_state *s, const struct ota_patch_io *io, uint32_t *f, int want);
int patch_raised_flag(struct patch_state *s, const struct ota_patch_io *io, uint32_t *f, uint32_t context, int want);
uint32_t patch_tree(struct patch_state *s, const struct ota_patch_io *io, uint16_t *t, uint32_t bits, uint32_t want);
uint32_t patch_byte(struct patch_state *s, const struct ota_patch_io *io, uint16_t *t, uint32_t context, uint32_t want);
int32_t patch_number(struct patch_state *s, const struct ota_patch_io *io, struct patch_number *m, uint8_t *wide, int32_t want);

static inline uint16_t *patch_pool(struct patch_state *s, uint32_t at) {
    return (uint16_t *)s->pool + at;
}

#endif
