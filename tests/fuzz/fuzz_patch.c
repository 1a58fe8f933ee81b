// libFuzzer target for the patch decoder. Input: a byte that cuts the patch into pieces, two bytes of the old image's size, the old
// image, the patch. Checks what the decoder promises: reads inside the old image and of what it has put out only, no more output than announced.
// SPDX-License-Identifier: MIT
#include <stdlib.h>

#include "patch_model.h"

#define STATE 16384u

#define RESULT_MAX (1u << 18)
#define SECTOR 61u

struct old_image {
    const uint8_t *bytes;
    uint32_t size;
    const struct patch_state *state;
    uint8_t *result;
};

static int read_old(void *ctx, uint32_t offset, void *buf, uint32_t n) {
    const struct old_image *old = ctx;
    if (n > OTA_PATCH_READ_BYTES || offset & 3 || offset > old->size || n > old->size - offset) {
        abort();
    }
    memcpy(buf, old->bytes + offset, n);
    return 0;
}

static int read_new(void *ctx, uint32_t offset, void *buf, uint32_t n) {
    const struct old_image *old = ctx;
    if (n > OTA_PATCH_READ_BYTES || offset & 3 || offset > old->state->new_pos || n > old->state->new_pos - offset) {
        abort();
    }
    memcpy(buf, old->result + offset, n);
    return 0;
}

// Decodes until the end or a refusal.
static void decode(struct old_image *old, const uint8_t *patch, size_t n, uint32_t piece) {
    struct ota_patch_io io = {old, read_old, read_new};
    void *state = malloc(STATE); // its own allocation, so that a step outside is seen
    old->state = state;
    uint32_t total = 0;
    int r = ota_patch_init(state, STATE);
    size_t at = 0;
    while (r >= 0) {
        struct ota_patch_span x = {patch + at, n - at < piece ? (uint32_t)(n - at) : piece, old->result + total, SECTOR};
        uint32_t given = x.in_n;
        bool last = at == n;
        r = last ? ota_patch_finish(state, &io, &x) : ota_patch_push(state, &io, &x);
        at += given - x.in_n;
        total += SECTOR - x.out_n;
        const struct ota_patch_info *info = ota_patch_get_info(state);
        if (r == OTA_PATCH_BASE && info->old_size != old->size) {
            break; // as any caller does
        }
        if (info && total > info->new_size) {
            abort();
        }
        if ((last && r == OTA_OK) || total > RESULT_MAX - SECTOR) {
            break;
        }
    }
    if (r < 0 && ota_patch_finish(state, &io, &(struct ota_patch_span){NULL, 0, old->result, SECTOR}) != r) {
        abort(); // a decoder that failed stays failed
    }
    free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (n < 3) {
        return 0;
    }
    uint32_t piece = data[0] ? data[0] : 65536, size = ota_get_le16(data + 1);
    if (size > n - 3) {
        size = (uint32_t)(n - 3);
    }
    uint8_t *bytes = malloc(size + 1);
    memcpy(bytes, data + 3, size);
    struct old_image old = {bytes, size, NULL, malloc(RESULT_MAX)};
    decode(&old, data + 3 + size, n - 3 - size, piece);
    free(old.result);
    free(bytes);
    return 0;
}
