// x86-64: 32-bit displacements behind the opcodes of calls, jumps and RIP-relative operands.
// SPDX-License-Identifier: MIT
#include "patch_model.h"

static uint32_t classify(const struct patch_state *s, const uint8_t *b) {
    return s->phase * 16u + (b[0] >> 4);
}

// Phase 1 after a byte that opens many instructions (REX, 0F, MOV, LEA), 2 after a call or jump.
static uint32_t advance(const struct patch_state *s, uint32_t byte) {
    (void)s;
    return (byte & 0xfe) == 0xe8 ? 2 : (byte & 0xf8) == 0x48 || byte == 0x0f || (byte & 0xfc) == 0x88 || byte == 0x8d;
}

// Whether the two bytes before can only be followed by a displacement.
static bool opens(uint32_t before, uint32_t last) {
    if ((last & 0xfe) == 0xe8) {
        return true;
    }
    if (before == 0x0f && (last & 0xf0) == 0x80) {
        return true;
    }
    // Mod 0, r/m 5: an operand relative to the next instruction.
    return (last & 0xc7) == 5 && ((before & 0xfc) == 0x88 || before == 0x8d || before == 0x63 || (before & 0xc4) == 0 || before == 0xff ||
                                  (before & 0xfc) == 0x80 || (before & 0xfe) == 0xc6 || (before & 0xf0) == 0x10 || before == 0x6f || before == 0x7f);
}

static bool find(const struct patch_state *s, struct patch_site *site, const uint8_t *b, uint32_t from) {
    site->type = PATCH_CALL;
    site->size = 4;
    site->unit = 0;
    site->target = from + 4 + ota_get_le32(b);
    return opens(s->before, s->last);
}

static bool place(const struct patch_site *site, uint8_t *b, uint32_t to, uint32_t target) {
    (void)site;
    ota_put_le32(b, target - to - 4);
    return true;
}

// The 32-bit constant of MOV r32, if below 4096.
static uint32_t constant(const struct patch_state *s, const uint8_t *b, uint32_t *value) {
    *value = ota_get_le32(b);
    return (s->last & 0xf8) == 0xb8 && *value < 4096 ? 4 : 0;
}

static void load(uint8_t *b, uint32_t value) {
    b[0] = (uint8_t)value;
    b[1] = (uint8_t)(value >> 8);
}

const struct patch_arch patch_x86_64 = {classify, advance, find, place, constant, load};
