// SHA-256 against FIPS 180-4's examples and against hashlib at every length.
// SPDX-License-Identifier: MIT
#include "check.h"
#include "sha256.h"
#include "vectors.h"

static void hash(uint8_t digest[32], const uint8_t *in, uint32_t n, enum split split) {
    uint32_t state = n + 1;
    ota_sha256_t s;
    memset(&s, 0xa5, sizeof(s));
    ota_sha256_init(&s);
    while (n > 0) {
        uint32_t k = split_next(split, n, &state);
        ota_sha256_push(&s, in, k);
        in += k;
        n -= k;
    }
    ota_sha256_finish(&s, digest);
}

static void check_text(const char *text, const char *hex) {
    uint8_t digest[32];
    hash(digest, (const uint8_t *)text, (uint32_t)strlen(text), SPLIT_WHOLE);
    for (uint32_t i = 0; i < 32; i++) {
        char byte[3];
        snprintf(byte, sizeof(byte), "%02x", digest[i]);
        CHECK(memcmp(byte, hex + 2 * i, 2) == 0);
    }
}

static void test_examples_of_fips_180_are_right(void) {
    check_text("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_text("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_text("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    check_text("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
        "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
}

static void test_a_million_letters_are_right(void) {
    static uint8_t text[1000000];
    static const uint8_t expected[4] = {0xcd, 0xc7, 0x6e, 0x5c};
    uint8_t digest[32];
    memset(text, 'a', sizeof(text));
    hash(digest, text, sizeof(text), SPLIT_RANDOM);
    CHECK(memcmp(digest, expected, sizeof(expected)) == 0);
}

static void test_every_length_is_right_in_any_split(void) {
    for (uint32_t n = 0; n <= sizeof(v_random_bytes); n++) {
        for (enum split split = SPLIT_WHOLE; split < SPLITS; split++) {
            uint8_t digest[32];
            hash(digest, v_random_bytes, n, split);
            CHECK(memcmp(digest, v_random_digests + 32 * n, 32) == 0);
        }
    }
}

int main(void) {
    RUN(test_examples_of_fips_180_are_right);
    RUN(test_a_million_letters_are_right);
    RUN(test_every_length_is_right_in_any_split);
    puts("test_sha256 passed");
    return 0;
}
