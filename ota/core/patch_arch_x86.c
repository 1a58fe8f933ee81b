// x86-64: 32-bit displacements behind the opcodes of calls, jumps and RIP-relative operands.
// SPDX-License-Identifier: MIT
#include "patch_model.h"

// Phase 1 after a byte that opens many instructions (REX, 0F, MOV, LEA), 2 after a call or jump.
static uint32_t advance(const struct patch_state *s, const uint8_t *b, uint32_t n) {
    uint32_t byte = b[n - 1];
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

static uint32_t look(const struct patch_state *s, struct patch_site *site, const uint8_t *b, uint32_t from) {
    site->size = 4;
    site->unit = 0;
    site->target = ota_get_le32(b);
    if (opens(s->before, s->last)) {
        site->type = PATCH_CALL;
        site->target += from + 4;
    } else {
        site->type = (s->last & 0xf8) == 0xb8 ? PATCH_CONSTANT : PATCH_NO_SITE; // of MOV r32
    }
    return 1;
}

static bool place(const struct patch_site *site, uint8_t *b, uint32_t to, uint32_t target) {
    ota_put_le32(b, site->type == PATCH_CONSTANT ? target & (PATCH_NUMBERS - 1) : target - to - 4);
    return true;
}

const struct patch_arch patch_x86_64 = {look, advance, place};
