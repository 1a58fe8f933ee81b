// CoAP messages against RFC 7252's examples, and every byte of damage.
// SPDX-License-Identifier: MIT
#include "check.h"
#include "coap.h"

enum { SIZE = 2048, ETAG = 4, URI_PATH = 11, BLOCK2 = 23, SIZE2 = 28, TOKEN = 2088 };

static const uint8_t token[8] = {1, 2, 3, 4, 5, 6, 7, 8};

// Reads out of memory that ends where the datagram does: the sanitizer sees a byte too many.
static bool read(ota_coap_t *m, const uint8_t *bytes, uint32_t n) {
    uint8_t *exact = malloc(n ? n : 1);
    memcpy(exact, bytes, n);
    bool good = ota_coap_header(m, exact, n) && ota_coap_options(m, exact, n);
    free(exact);
    return good;
}

// Figure 16 of the RFC: GET coap://server/temperature with message id 0x7d34.
static void test_example_of_rfc_7252_is_written(void) {
    static const uint8_t expected[] = "\x40\x01\x7d\x34\xbbtemperature";
    uint8_t buf[SIZE];
    struct ota_coap_writer w = {buf, sizeof(buf), 0, 0};
    ota_coap_begin(&w, 0, 1, 0x7d34, NULL, 0);
    CHECK(ota_coap_option(&w, URI_PATH, (const uint8_t *)"temperature", 11));
    ota_coap_payload(&w, NULL, 0);
    CHECK_EQUAL(w.n, sizeof(expected) - 1);
    CHECK(memcmp(buf, expected, w.n) == 0);
}

static uint32_t whole(uint8_t *buf, uint32_t size) {
    struct ota_coap_writer w = {buf, size, 0, 0};
    ota_coap_begin(&w, 2, 69, 0x1234, token, sizeof(token));
    CHECK(ota_coap_option(&w, ETAG, token, 3));
    CHECK(ota_coap_uint(&w, 6, 0x10203));
    CHECK(ota_coap_uint(&w, 12, 0));
    CHECK(ota_coap_uint(&w, BLOCK2, 1 << 4 | 8 | 6));
    CHECK(ota_coap_uint(&w, SIZE2, 0xfedcba98));
    CHECK(ota_coap_option(&w, TOKEN, (const uint8_t *)buf, 300));
    ota_coap_payload(&w, (const uint8_t *)"data", 4);
    return w.n;
}

static void test_what_is_written_is_read(void) {
    uint8_t buf[SIZE] = {0};
    ota_coap_t m;
    uint32_t n = whole(buf, sizeof(buf));
    CHECK(read(&m, buf, n));
    CHECK(m.kind == 2 && m.code == 69 && m.mid == 0x1234 && m.token_size == 8);
    CHECK(m.etag_size == 3 && memcmp(buf + m.etag, token, 3) == 0);
    CHECK_EQUAL(m.observe, 0x10203);
    CHECK_EQUAL(m.block2, 1 << 4 | 8 | 6);
    CHECK_EQUAL(m.size2, 0xfedcba98);
    CHECK(n - m.payload == 4 && memcmp(buf + m.payload, "data", 4) == 0);
}

static void test_options_that_are_not_there_say_so(void) {
    ota_coap_t m;
    CHECK(read(&m, (const uint8_t *)"\x40\x45\x00\x01", 4));
    CHECK(m.observe == -1 && m.block2 == -1 && m.size2 == -1 && m.etag_size == 0 && m.payload == 4);
}

static void test_length_is_told_of_what_does_not_fit_and_nothing_behind_is_written(void) {
    uint8_t buf[SIZE] = {0};
    uint32_t n = whole(buf, sizeof(buf));
    for (uint32_t size = 0; size < n; size++) {
        uint8_t *exact = calloc(1, SIZE);
        CHECK_EQUAL(whole(exact, size), n);
        for (uint32_t i = size; i < SIZE; i++) {
            CHECK_EQUAL(exact[i], 0);
        }
        free(exact);
    }
}

static void test_options_out_of_order_or_too_long_are_refused(void) {
    static uint8_t value[0x10000];
    uint8_t buf[SIZE];
    struct ota_coap_writer w = {buf, sizeof(buf), 0, 0};
    ota_coap_begin(&w, 0, 1, 0, token, sizeof(token));
    CHECK(ota_coap_option(&w, BLOCK2, token, 1) && ota_coap_option(&w, BLOCK2, token, 1));
    CHECK(!ota_coap_option(&w, URI_PATH, token, 1));
    CHECK(!ota_coap_option(&w, 0x10000, token, 1));
    CHECK(!ota_coap_option(&w, SIZE2, value, 0x10000));
    CHECK(ota_coap_option(&w, SIZE2, value, 0xffff));
}

static void test_numbers_lose_their_leading_zeros(void) {
    static const struct { uint32_t value, size; } cases[] = {
        {0, 0}, {1, 1}, {255, 1}, {256, 2}, {0xffff, 2}, {0x10000, 3}, {0xffffff, 3}, {0x1000000, 4}, {0xffffffff, 4},
    };
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t buf[SIZE];
        ota_coap_t m;
        struct ota_coap_writer w = {buf, sizeof(buf), 0, 0};
        ota_coap_begin(&w, 2, 69, 0, NULL, 0);
        CHECK(ota_coap_uint(&w, SIZE2, cases[i].value));
        CHECK_EQUAL(w.n, 6 + cases[i].size);
        CHECK(read(&m, buf, w.n));
        CHECK_EQUAL(m.size2, cases[i].value);
    }
}

static void check_bad(const char *options, uint32_t n) {
    uint8_t buf[SIZE] = "\x40\x45\x00\x01";
    ota_coap_t m;
    memcpy(buf + 4, options, n);
    CHECK(ota_coap_header(&m, buf, 4 + n));
    CHECK(!read(&m, buf, 4 + n));
}

#define BAD(options) check_bad(options, sizeof(options) - 1)

static void test_malformed_options_are_refused(void) {
    BAD("\xff"); // a marker and no payload
    BAD("\x49\x01"); // length beyond the end
    BAD("\xf1\x01"); // reserved delta
    BAD("\x4f\x01"); // reserved length
    BAD("\xd1");
    BAD("\xe1\x01");
    BAD("\x4d");
    BAD("\x4e\x01");
    BAD("\x4e\xff\xff");
    BAD("\xd1\x0a\x07"); // Block2 with the reserved size
    BAD("\xd4\x0a\x00\x00\x00\x00"); // of four bytes
    BAD("\xd1\x0a\x0e\x01\x0e"); // two of them
    BAD("\x10"); // option 1 is critical and unknown
}

static void test_headers_that_are_none_are_refused(void) {
    static uint8_t large[0x10000] = {0x40, 0x45};
    ota_coap_t m;
    CHECK(!ota_coap_header(&m, (const uint8_t *)"\x40\x45\x00", 3));
    CHECK(!ota_coap_header(&m, (const uint8_t *)"\x80\x45\x00\x01", 4));
    CHECK(!ota_coap_header(&m, (const uint8_t *)"\x49\x45\x00\x01xxxxxxxxx", 13));
    CHECK(!ota_coap_header(&m, (const uint8_t *)"\x44\x45\x00\x01xxx", 7));
    CHECK(!ota_coap_header(&m, large, sizeof(large)));
    CHECK(ota_coap_header(&m, large, sizeof(large) - 1));
}

static void test_no_damage_leads_outside(void) {
    uint8_t buf[SIZE] = {0};
    uint32_t n = whole(buf, sizeof(buf)), state = 1;
    for (uint32_t i = 0; i < 20000; i++) {
        uint8_t damaged[SIZE];
        ota_coap_t m;
        memcpy(damaged, buf, n);
        for (uint32_t k = random32(&state) % 4; k < 4; k++) {
            damaged[random32(&state) % (random32(&state) & 1 ? 40 : n)] = (uint8_t)random32(&state);
        }
        uint32_t left = 1 + random32(&state) % n;
        if (read(&m, damaged, left)) {
            CHECK(m.payload <= left && m.etag + m.etag_size <= left && (m.block2 < 0 || (m.block2 & 7) < 7));
        }
    }
}

int main(void) {
    RUN(test_example_of_rfc_7252_is_written);
    RUN(test_what_is_written_is_read);
    RUN(test_options_that_are_not_there_say_so);
    RUN(test_length_is_told_of_what_does_not_fit_and_nothing_behind_is_written);
    RUN(test_options_out_of_order_or_too_long_are_refused);
    RUN(test_numbers_lose_their_leading_zeros);
    RUN(test_malformed_options_are_refused);
    RUN(test_headers_that_are_none_are_refused);
    RUN(test_no_damage_leads_outside);
    puts("test_coap passed");
    return 0;
}
