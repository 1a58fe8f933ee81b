// libFuzzer target for an image's header, TLVs and signature. Input: a byte that cuts the image into pieces, the image.
// SPDX-License-Identifier: MIT
#include <stdlib.h>

#include "image.h"
#include "vectors.h"

#define LIMIT 65536u

static int finish(ota_image_t *image) {
    const struct ota_key key = {v_key, sizeof(v_key)};
    const struct ota_trust trust = {.keys = &key, .key_count = 1, .vendor_id = v_vendor, .class_id = v_class, .min_counter = 1};
    ota_rsa_work_t *work = malloc(sizeof(*work));
    const int r = ota_image_finish(image, NULL, &trust, work);
    free(work);
    return r;
}

// Its bytes consumed, or what it was refused with. The verdict of finish goes to `verdict`.
static int32_t read_image(const uint8_t *bytes, size_t n, uint32_t piece, int *verdict) {
    ota_image_t *image = malloc(sizeof(*image)); // its own allocation, so that a step outside is seen
    uint32_t consumed = 0;
    int32_t r = 0;
    ota_image_init(image, LIMIT);
    while (consumed < n && r >= 0 && !ota_image_complete(image)) {
        const uint32_t part = n - consumed < piece ? (uint32_t)(n - consumed) : piece;
        r = ota_image_push(image, bytes + consumed, part);
        if (r > (int32_t)part || (r < (int32_t)part && r >= 0 && !ota_image_complete(image))) {
            abort();
        }
        consumed += r > 0 ? (uint32_t)r : 0;
    }
    *verdict = finish(image);
    if ((r < 0 && *verdict == OTA_OK) || consumed > LIMIT) {
        abort(); // what was refused stays so
    }
    free(image);
    return r < 0 ? r : (int32_t)consumed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    int whole_verdict, verdict;
    if (n < 1) {
        return 0;
    }
    const int32_t whole = read_image(data + 1, n - 1, LIMIT * 4, &whole_verdict);
    const int32_t split = read_image(data + 1, n - 1, data[0] ? data[0] : 256, &verdict);
    if (whole != split || whole_verdict != verdict) {
        abort(); // the split may not matter
    }
    return 0;
}
