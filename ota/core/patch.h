// Patch decoder: makes the new image from the old one and a patch (SPEC.md, section 3).
// SPDX-License-Identifier: MIT
//
// The caller owns one 4-aligned state buffer, the old image behind a read function, and a buffer for output, for example
// one sector. Input may be cut anywhere. A typical caller:
//
//   ota_patch_init(state, n);
//   struct ota_patch_span x = {.in = in, .in_n = n_in};
//   while ((r = ota_patch_push(state, &io, &x)) != OTA_PATCH_MORE) {
//       OTA_PATCH_BASE: compare ota_patch_get_info()->old_sha256 with the running image, then push again
//       OTA_PATCH_FULL: write the sector, then x.out = sector, x.out_n = sizeof sector
//       negative:       give up
//   }
//   ... more input; after the last: ota_patch_finish until OTA_OK
//
// Nothing is put out before OTA_PATCH_BASE has been returned, so a wrong base is found before the first write. The
// result's SHA-256 is the caller's to check, from flash. The decoder never puts out more than info->new_size bytes
// and never reads outside [0, info->old_size), or what is not out. What is out when a fault is found depends on how the input was cut.
#ifndef OTA_PATCH_H
#define OTA_PATCH_H

#include "ota.h"

#define OTA_PATCH_WINDOWS 3u
#define OTA_PATCH_READ_BYTES 112u // of either image at most at a time
#define OTA_PATCH_STATE_MIN 2048u // enough to parse any header

enum ota_patch_arch { OTA_PATCH_RAW, OTA_PATCH_XTENSA, OTA_PATCH_THUMB, OTA_PATCH_ARM, OTA_PATCH_X86_64, OTA_PATCH_ARCHS };

// Non-negative results of push and finish; finish returns OTA_OK once everything is out.
enum ota_patch_result {
    OTA_PATCH_MORE = 1, // all input is taken
    OTA_PATCH_BASE = 2, // the header is read: check the base now
    OTA_PATCH_FULL = 3, // no room for output
};

struct ota_patch_window {
    uint32_t start, size;
};

struct ota_patch_info {
    uint8_t arch;
    uint8_t lean;         // log2 of what the smaller tables are divided by, 0..3
    uint8_t region_shift; // log2 of the bytes that share one displacement
    uint8_t windows;
    uint32_t state_bytes; // what the decoder needs
    uint32_t old_size, new_size;
    uint32_t base; // address of the image's first byte
    struct ota_patch_window window[OTA_PATCH_WINDOWS];
    uint8_t old_sha256[32]; // of all old_size bytes of the base
    uint8_t new_sha256[32];
};

// How to read the old image and, of the new one, what is out, of which the last bytes may still be in the span's buffer: fills buf with
// n <= OTA_PATCH_READ_BYTES from offset, a multiple of 4. Zero or a negative ota_err. Both must be there.
struct ota_patch_io {
    void *ctx;
    int (*read_old)(void *ctx, uint32_t offset, void *buf, uint32_t n);
    int (*read_new)(void *ctx, uint32_t offset, void *buf, uint32_t n);
};

// What one call works on; the call advances the pointers and lowers the counts. What is left of out may have been written to.
struct ota_patch_span {
    const uint8_t *in;
    uint32_t in_n;
    uint8_t *out;
    uint32_t out_n;
};

// OTA_E_PATCH_STATE if the buffer is below OTA_PATCH_STATE_MIN or not aligned.
int ota_patch_init(void *state, uint32_t state_bytes) OTA_MUST_CHECK;

// Takes input until it is used up or the output is full.
int ota_patch_push(void *state, const struct ota_patch_io *io, struct ota_patch_span *x) OTA_MUST_CHECK;

// To be called when the input has ended, until it returns other than OTA_PATCH_FULL. x->in_n must be 0. OTA_OK: the whole new image is out.
int ota_patch_finish(void *state, const struct ota_patch_io *io, struct ota_patch_span *x) OTA_MUST_CHECK;

// The header, NULL before OTA_PATCH_BASE.
const struct ota_patch_info *ota_patch_get_info(const void *state);

#endif
