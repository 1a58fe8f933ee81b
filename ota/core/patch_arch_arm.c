// ARM: Thumb-2 BL and B.W for Cortex-M; ARM BL and Thumb's BL pair for ARMv5.
// SPDX-License-Identifier: MIT
#include "patch_model.h"

static uint32_t at(const struct patch_state *s) {
    return s->new_pos + s->info.base;
}

// Two half-words, but the first alone if the second might begin an instruction of two. Shifted by an odd number, instructions are data.
static uint32_t unit(const struct patch_state *s, const uint8_t *b) {
    return s->skew & 1 ? 4 : at(s) & 1 ? 1 : b[1] < 0xe8 && b[3] >= 0xe8 ? 2 : 4;
}

static uint32_t thumb_advance(const struct patch_state *s, const uint8_t *b, uint32_t n) {
    (void)b, (void)n;
    return at(s) & 1;
}

// A branch in two half-words, the second with all the bits of `low`.
static bool find_pair(struct patch_site *site, const uint8_t *b, uint32_t from, uint32_t low) {
    uint32_t hi = ota_get_le16(b), lo = ota_get_le16(b + 2);
    if ((hi & 0xf800u) != 0xf000u || (lo & low) != low) {
        return false;
    }
    uint32_t sign = hi >> 10 & 1, i1 = (lo >> 13 ^ sign ^ 1) & 1, i2 = (lo >> 11 ^ sign ^ 1) & 1;
    uint32_t offset = i1 << 23 | i2 << 22 | (hi & 0x3ff) << 12 | (lo & 0x7ff) << 1;
    site->type = PATCH_CALL;
    site->size = 4;
    site->unit = 1;
    site->target = from + 4 + offset - (sign << 24);
    return true;
}

static uint32_t thumb_look(const struct patch_state *s, struct patch_site *site, const uint8_t *b, uint32_t from) {
    uint32_t hi = ota_get_le16(b), lo = ota_get_le16(b + 2);
    site->type = PATCH_NO_SITE;
    if (!((from | at(s)) & 1) && !find_pair(site, b, from, 0x9000u) && (hi & 0xfbff) == 0xf240 && !(lo & 0x8000)) { // MOVW
        site->type = PATCH_CONSTANT;
        site->size = 4;
        site->target = (hi >> 10 & 1) << 11 | (lo >> 12 & 7) << 8 | (lo & 255);
    }
    return unit(s, b);
}

static bool thumb_place(const struct patch_site *site, uint8_t *b, uint32_t to, uint32_t target) {
    if (site->type == PATCH_CONSTANT) {
        b[1] = (uint8_t)((b[1] & 0xfb) | (target >> 11 & 1) << 2);
        b[2] = (uint8_t)target;
        b[3] = (uint8_t)((b[3] & 0x8f) | (target >> 8 & 7) << 4);
        return true;
    }
    uint32_t offset = target - to - 4;
    if (offset & 1 || offset + 0x1000000u >= 0x2000000u) {
        return false;
    }
    uint32_t sign = offset >> 31, j1 = ~(offset >> 23 ^ sign) & 1, j2 = ~(offset >> 22 ^ sign) & 1;
    uint32_t lo = (ota_get_le16(b + 2) & 0xd000u) | j1 << 13 | j2 << 11 | (offset >> 1 & 0x7ff);
    b[0] = (uint8_t)(offset >> 12);
    b[1] = (uint8_t)(0xf0u | sign << 2 | (offset >> 20 & 3));
    b[2] = (uint8_t)lo;
    b[3] = (uint8_t)(lo >> 8);
    return true;
}

const struct patch_arch patch_thumb = {thumb_look, thumb_advance, thumb_place};

// ---- ARMv5: an aligned word with the condition "always" and the opcode of BL, or a pair of Thumb-1, whose second half-word has its upper five bits set

static uint32_t arm_advance(const struct patch_state *s, const uint8_t *b, uint32_t n) {
    (void)b, (void)n;
    return (at(s) & 3) < 2 ? at(s) & 3 : 2;
}

static uint32_t arm_look(const struct patch_state *s, struct patch_site *site, const uint8_t *b, uint32_t from) {
    site->type = PATCH_NO_SITE;
    if (!((from | at(s)) & 3) && b[3] == 0xeb) {
        uint32_t offset = ota_get_le32(b) & 0xffffffu;
        site->type = PATCH_CALL;
        site->size = 4;
        site->unit = 2;
        site->target = from + 8 + (((offset ^ 0x800000u) - 0x800000u) << 2);
    } else if (!((from | at(s)) & 1)) {
        find_pair(site, b, from, 0xf800u);
    }
    return unit(s, b);
}

static bool arm_place(const struct patch_site *site, uint8_t *b, uint32_t to, uint32_t target) {
    if (site->unit == 1) {
        return thumb_place(site, b, to, target);
    }
    uint32_t offset = target - to - 8;
    if (offset & 3 || offset + 0x2000000u >= 0x4000000u) {
        return false;
    }
    b[0] = (uint8_t)(offset >> 2);
    b[1] = (uint8_t)(offset >> 10);
    b[2] = (uint8_t)(offset >> 18);
    return true;
}

const struct patch_arch patch_arm = {arm_look, arm_advance, arm_place};
