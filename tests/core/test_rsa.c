// RSA verification under the sanitizers; the many forgeries are in tests/unit/test_rsa.py.
// SPDX-License-Identifier: MIT
#include "check.h"
#include "rsa.h"
#include "vectors.h"

#define VERIFY(key, padding, sig) verify(key, sizeof(key), padding, sig, sizeof(sig))

static uint32_t fed;

static void feed(void *ctx) {
    (void)ctx;
    fed++;
}

static int verify(const uint8_t *der, size_t size, enum ota_rsa_padding padding, const uint8_t *sig, size_t n) {
    const struct ota_key key = {der, (uint32_t)size};
    const struct ota_io io = {.feed = feed};
    ota_rsa_work_t *w = malloc(sizeof(*w)); // on the heap the sanitizer sees a byte too far
    memset(w, 0xa5, sizeof(*w));
    int r = ota_rsa_verify(w, &io, &key, padding, v_hash, sig, (uint32_t)n);
    free(w);
    return r;
}

static void test_right_signatures_are_accepted(void) {
    CHECK_EQUAL(VERIFY(v_key, OTA_RSA_PKCS1, v_pkcs1), OTA_OK);
    CHECK_EQUAL(VERIFY(v_key, OTA_RSA_PSS, v_pss), OTA_OK);
    CHECK_EQUAL(VERIFY(v_key_e3, OTA_RSA_PKCS1, v_pkcs1_e3), OTA_OK);
    CHECK_EQUAL(VERIFY(v_key_e3, OTA_RSA_PSS, v_pss_e3), OTA_OK);
    CHECK_EQUAL(VERIFY(v_key3072, OTA_RSA_PKCS1, v_pkcs13072), OTA_OK);
    CHECK_EQUAL(VERIFY(v_key3072, OTA_RSA_PSS, v_pss3072), OTA_OK);
}

static void test_pss_without_salt_is_refused(void) {
    CHECK_EQUAL(VERIFY(v_key, OTA_RSA_PSS, v_pss_no_salt), OTA_E_SIGNATURE);
}

static void test_signature_of_another_size_is_refused(void) {
    CHECK_EQUAL(VERIFY(v_key3072, OTA_RSA_PSS, v_pss), OTA_E_SIGNATURE);
    CHECK_EQUAL(VERIFY(v_key, OTA_RSA_PSS, v_pss3072), OTA_E_SIGNATURE);
}

static void test_every_flipped_bit_of_a_signature_is_refused(void) {
    for (uint32_t bit = 0; bit < 2048; bit += 5) {
        uint8_t sig[256];
        memcpy(sig, v_pss, sizeof(sig));
        sig[bit / 8] = (uint8_t)(sig[bit / 8] ^ 1u << bit % 8);
        CHECK_EQUAL(VERIFY(v_key, OTA_RSA_PSS, sig), OTA_E_SIGNATURE);
    }
}

static void test_damaged_keys_are_read_within_their_bounds(void) {
    for (uint32_t n = 0; n < sizeof(v_key); n++) {
        uint8_t *der = malloc(n + 1); // n + 1: malloc(0) may be NULL
        memcpy(der, v_key, n);
        CHECK_EQUAL(verify(der, n, OTA_RSA_PSS, v_pss, sizeof(v_pss)), OTA_E_KEY_FORMAT);
        free(der);
    }
    uint32_t state = 7;
    for (uint32_t i = 0; i < 3000; i++) {
        uint8_t der[sizeof(v_key)];
        memcpy(der, v_key, sizeof(der));
        for (uint32_t k = 0; k < 3; k++) {
            der[random32(&state) % 12] = (uint8_t)random32(&state);
        }
        if (memcmp(der, v_key, sizeof(der)) != 0) {
            CHECK(VERIFY(der, OTA_RSA_PSS, v_pss) != OTA_OK);
        }
    }
}

static void test_watchdog_is_fed_at_every_multiplication(void) {
    fed = 0;
    CHECK_EQUAL(VERIFY(v_key, OTA_RSA_PSS, v_pss), OTA_OK);
    CHECK_EQUAL(fed, 17);
}

int main(void) {
    RUN(test_right_signatures_are_accepted);
    RUN(test_pss_without_salt_is_refused);
    RUN(test_signature_of_another_size_is_refused);
    RUN(test_every_flipped_bit_of_a_signature_is_refused);
    RUN(test_damaged_keys_are_read_within_their_bounds);
    RUN(test_watchdog_is_fed_at_every_multiplication);
    puts("test_rsa passed");
    return 0;
}
