// Images under the sanitizers; the refusals one by one are in tests/unit/test_image.py.
// SPDX-License-Identifier: MIT
#include "check.h"
#include "image.h"
#include "vectors.h"

static const struct ota_key keys[] = {{v_key, sizeof(v_key)}, {v_key3072, sizeof(v_key3072)}};
static const struct ota_trust trust = {.keys = keys, .key_count = 2, .vendor_id = v_vendor, .class_id = v_class};

// Pushes n bytes, each piece from a block of its own so that the sanitizer sees a byte too far.
static int push(ota_image_t *s, const uint8_t *in, uint32_t n, enum split split) {
    uint32_t state = n;
    for (uint32_t done = 0; done < n;) {
        uint32_t k = split_next(split, n - done, &state);
        uint8_t *piece = malloc(k);
        memcpy(piece, in + done, k);
        int32_t r = ota_image_push(s, piece, k);
        free(piece);
        if (r < 0 || (uint32_t)r < k) {
            return r < 0 ? r : OTA_OK;
        }
        done += k;
    }
    return OTA_OK;
}

// The digest of one pass is that of all the image's bytes, and changes nothing.
static void check_digest(const ota_image_t *s, const uint8_t *in) {
    uint8_t digest[32], expected[32];
    ota_sha256_t sha;
    bool complete = ota_image_digest(s, digest);
    CHECK_EQUAL(complete, ota_image_complete(s));
    if (complete) {
        ota_sha256_init(&sha);
        ota_sha256_push(&sha, in, s->info.total_size);
        ota_sha256_finish(&sha, expected);
        CHECK(memcmp(digest, expected, sizeof(digest)) == 0);
    }
}

static int verify(const uint8_t *in, uint32_t n, uint32_t limit, enum split split) {
    ota_image_t *s = malloc(sizeof(*s));
    ota_rsa_work_t *w = malloc(sizeof(*w));
    memset(s, 0xa5, sizeof(*s));
    ota_image_init(s, limit);
    int pushed = push(s, in, n, split);
    check_digest(s, in);
    int r = ota_image_finish(s, NULL, &trust, w);
    CHECK(pushed == OTA_OK || pushed == r);
    CHECK_EQUAL(ota_image_finish(s, NULL, &trust, w), r);
    free(w);
    free(s);
    return r;
}

static void test_images_are_accepted_in_any_split(void) {
    for (enum split split = SPLIT_WHOLE; split < SPLITS; split++) {
        CHECK_EQUAL(verify(v_image, sizeof(v_image), sizeof(v_image), split), OTA_OK);
        CHECK_EQUAL(verify(v_image3072, sizeof(v_image3072), sizeof(v_image3072), split), OTA_OK);
    }
}

static void test_foreign_images_are_refused(void) {
    const uint32_t limit = 4096;
    CHECK_EQUAL(verify(v_image_foreign, sizeof(v_image_foreign), limit, SPLIT_RANDOM), OTA_E_KEY);
    CHECK_EQUAL(verify(v_image_other_board, sizeof(v_image_other_board), limit, SPLIT_RANDOM), OTA_E_PRODUCT);
}

static void test_every_cut_is_refused(void) {
    for (uint32_t n = 0; n < sizeof(v_image_counter1); n++) {
        CHECK_EQUAL(verify(v_image_counter1, n, sizeof(v_image_counter1), SPLIT_WHOLE), OTA_E_SIZE);
    }
}

static void test_every_damaged_byte_is_refused_alike_in_any_split(void) {
    static uint8_t image[sizeof(v_image_counter1)];
    for (uint32_t i = 0; i < sizeof(image); i += i < 40 || i > 700 ? 1 : 17) {
        memcpy(image, v_image_counter1, sizeof(image));
        image[i] ^= (uint8_t)(1u << i % 8);
        int r = verify(image, sizeof(image), sizeof(image), SPLIT_WHOLE);
        CHECK(r <= OTA_E_MAGIC && r >= OTA_E_PRODUCT);
        CHECK_EQUAL(verify(image, sizeof(image), sizeof(image), SPLIT_BYTES), r);
        CHECK_EQUAL(verify(image, sizeof(image), sizeof(image), SPLIT_RANDOM), r);
    }
}

static void test_noise_after_a_valid_start_is_read_within_its_bounds(void) {
    static uint8_t image[sizeof(v_image_counter1)];
    uint32_t state = 3;
    for (uint32_t round = 0; round < 20000; round++) {
        memcpy(image, v_image_counter1, sizeof(image));
        for (uint32_t k = random32(&state) % 6 + 1; k > 0; k--) {
            uint32_t at = random32(&state) % 2 ? random32(&state) % 32 : (uint32_t)sizeof(image) - 1 - random32(&state) % 400;
            image[at] = (uint8_t)random32(&state);
        }
        if (memcmp(image, v_image_counter1, sizeof(image)) != 0) {
            CHECK(verify(image, sizeof(image), sizeof(image), SPLIT_RANDOM) != OTA_OK);
        }
    }
}

int main(void) {
    RUN(test_images_are_accepted_in_any_split);
    RUN(test_foreign_images_are_refused);
    RUN(test_every_cut_is_refused);
    RUN(test_every_damaged_byte_is_refused_alike_in_any_split);
    RUN(test_noise_after_a_valid_start_is_read_within_its_bounds);
    puts("test_image passed");
    return 0;
}
