// MD5 against RFC 1321's examples and against hashlib at every length.
// SPDX-License-Identifier: MIT
#include "check.h"
#include "md5.h"
#include "vectors.h"

static void hash(uint8_t digest[16], const uint8_t *in, uint32_t n, enum split split) {
    uint32_t state = n + 1;
    ota_md5_t s;
    memset(&s, 0xa5, sizeof(s));
    ota_md5_init(&s);
    while (n > 0) {
        uint32_t k = split_next(split, n, &state);
        ota_md5_push(&s, in, k);
        in += k;
        n -= k;
    }
    ota_md5_finish(&s, digest);
}

static void check_text(const char *text, const char *hex) {
    uint8_t digest[16];
    hash(digest, (const uint8_t *)text, (uint32_t)strlen(text), SPLIT_WHOLE);
    for (uint32_t i = 0; i < 16; i++) {
        char byte[3];
        snprintf(byte, sizeof(byte), "%02x", digest[i]);
        CHECK(memcmp(byte, hex + 2 * i, 2) == 0);
    }
}

static void test_examples_of_rfc_1321_are_right(void) {
    check_text("", "d41d8cd98f00b204e9800998ecf8427e");
    check_text("a", "0cc175b9c0f1b6a831c399e269772661");
    check_text("message digest", "f96b697d7cb7938d525a2f31aaf161d0");
    check_text("12345678901234567890123456789012345678901234567890123456789012345678901234567890",
        "57edf4a22be3c955ac49da2e2107b67a");
}

static void test_a_million_letters_are_right(void) {
    static uint8_t text[1000000];
    static const uint8_t expected[4] = {0x77, 0x07, 0xd6, 0xae};
    uint8_t digest[16];
    memset(text, 'a', sizeof(text));
    hash(digest, text, sizeof(text), SPLIT_RANDOM);
    CHECK(memcmp(digest, expected, sizeof(expected)) == 0);
}

static void test_every_length_is_right_in_any_split(void) {
    for (uint32_t n = 0; n <= sizeof(v_random_bytes); n++) {
        for (enum split split = SPLIT_WHOLE; split < SPLITS; split++) {
            uint8_t digest[16];
            hash(digest, v_random_bytes, n, split);
            CHECK(memcmp(digest, v_random_md5s + 16 * n, 16) == 0);
        }
    }
}

int main(void) {
    RUN(test_examples_of_rfc_1321_are_right);
    RUN(test_a_million_letters_are_right);
    RUN(test_every_length_is_right_in_any_split);
    puts("test_md5 passed");
    return 0;
}
