// Marks and trailers, on flash that misbehaves.
// SPDX-License-Identifier: MIT
#include "check.h"
#include "norchip.h"
#include "trailer.h"
#include "vectors.h"

#define SECTOR 4096u
#define END (3 * SECTOR) // the trailer is the third sector

static uint8_t bytes[4 * SECTOR];
static struct norchip chip;
static struct ota_io io;
static ota_trailer_t t;

static void blank(void) {
    memset(bytes, 0xff, sizeof(bytes));
    norchip_init(&chip, bytes, sizeof(bytes), SECTOR);
    norchip_io(&chip, &io);
    ota_trailer_init(&t);
}

static void put(uint32_t place, const struct ota_mark *m) {
    ota_mark_encode(bytes + END - SECTOR + place * OTA_MARK_BYTES, m);
}

static int append(uint8_t kind, uint8_t arg, uint32_t number, uint32_t copies) {
    const struct ota_mark m = {.kind = kind, .arg = arg, .number = number, .tail = {1, 2, 3, 4, 5, 6}};
    return ota_trailer_append(&t, &io, END, &m, copies);
}

// Reads the trailer anew and finds what appending told.
static void check_read_agrees(void) {
    ota_trailer_t fresh;
    CHECK_EQUAL(ota_trailer_read(&fresh, &io, END), OTA_OK);
    CHECK_EQUAL(fresh.places, SECTOR / OTA_MARK_BYTES);
    fresh.places = t.places;
    CHECK(memcmp(&fresh, &t, sizeof(t)) == 0);
    CHECK_EQUAL(chip.misuses, 0);
}

static void test_mark_is_encoded_as_zlib_does(void) {
    const struct ota_mark m = {.kind = 'C', .number = 0x01020304, .tail = {0, 1, 2, 3, 4, 5}};
    struct ota_mark back;
    uint8_t out[OTA_MARK_BYTES];
    ota_mark_encode(out, &m);
    CHECK(memcmp(out, v_mark, sizeof(out)) == 0);
    CHECK(ota_mark_decode(&back, v_mark));
    CHECK(back.kind == m.kind && back.arg == 0 && back.number == m.number && memcmp(back.tail, m.tail, 6) == 0);
}

static void test_mark_with_any_flipped_bit_does_not_decode(void) {
    for (uint32_t bit = 0; bit < 128; bit++) {
        struct ota_mark m;
        uint8_t in[OTA_MARK_BYTES];
        memcpy(in, v_mark, sizeof(in));
        in[bit / 8] = (uint8_t)(in[bit / 8] ^ 1u << bit % 8);
        CHECK(!ota_mark_decode(&m, in));
    }
}

static void test_zeros_blank_and_unknown_kinds_do_not_decode(void) {
    struct ota_mark m = {.kind = 'Z'};
    uint8_t in[OTA_MARK_BYTES] = {0};
    CHECK(!ota_mark_decode(&m, in));
    memset(in, 0xff, sizeof(in));
    CHECK(!ota_mark_decode(&m, in));
    m.kind = 'Z';
    ota_mark_encode(in, &m);
    CHECK(!ota_mark_decode(&m, in));
}

static void test_blank_trailer_says_nothing(void) {
    blank();
    check_read_agrees();
    CHECK_EQUAL(t.next, 0);
}

static void test_every_kind_is_told(void) {
    blank();
    CHECK_EQUAL(append('S', 1, 1000, 2), OTA_OK);
    CHECK_EQUAL(append('P', 1, 4096, 1), OTA_OK);
    CHECK_EQUAL(append('P', 2, 8192, 1), OTA_OK);
    CHECK_EQUAL(append('C', 0, 17, 2), OTA_OK);
    CHECK_EQUAL(append('T', 1, 0, 1), OTA_OK);
    CHECK_EQUAL(append('T', 2, 0, 1), OTA_OK);
    CHECK_EQUAL(append('Y', 0, 0, 2), OTA_OK);
    CHECK_EQUAL(append('X', 0, 1091, 1), OTA_OK);
    check_read_agrees();
    CHECK(t.started == 2 && t.artifact_type == 1 && t.artifact_size == 1000 && t.digest[5] == 6);
    CHECK(t.progress == 8192 && t.complete == 2 && t.sequence == 17 && t.counter == 0x04030201);
    CHECK(t.tried == 2 && t.confirmed == 2 && t.rejected == 1 && t.reason == 1091 && t.next == 11);
}

static void test_first_counts_but_highest_progress_and_trial(void) {
    blank();
    CHECK_EQUAL(append('C', 0, 5, 1), OTA_OK);
    CHECK_EQUAL(append('C', 0, 9, 1), OTA_OK);
    CHECK_EQUAL(append('X', 0, 1005, 1), OTA_OK);
    CHECK_EQUAL(append('X', 0, 1090, 1), OTA_OK);
    CHECK_EQUAL(append('P', 2, 8192, 1), OTA_OK);
    CHECK_EQUAL(append('P', 1, 4096, 1), OTA_OK);
    CHECK_EQUAL(append('T', 2, 0, 1), OTA_OK);
    CHECK_EQUAL(append('T', 1, 0, 1), OTA_OK);
    check_read_agrees();
    CHECK(t.sequence == 5 && t.complete == 2 && t.reason == 1005 && t.progress == 8192 && t.tried == 2);
}

static void test_what_is_not_a_mark_is_passed_over(void) {
    const struct ota_mark m = {.kind = 'C', .number = 3};
    blank();
    memset(bytes + END - SECTOR, 0, OTA_MARK_BYTES);
    put(1, &m);
    memset(bytes + END - SECTOR + 5 * OTA_MARK_BYTES, 0x5a, OTA_MARK_BYTES);
    put(200, &m);
    CHECK_EQUAL(ota_trailer_read(&t, &io, END), OTA_OK);
    CHECK(t.complete == 2 && t.sequence == 3 && t.next == 201);
}

static void test_any_split_in_marks_tells_the_same(void) {
    blank();
    uint32_t state = 5;
    for (uint32_t i = 0; i < SECTOR; i++) {
        bytes[END - SECTOR + i] = (uint8_t)random32(&state);
    }
    const struct ota_mark m = {.kind = 'S', .number = 77};
    put(100, &m);
    CHECK_EQUAL(ota_trailer_read(&t, &io, END), OTA_OK);
    ota_trailer_t other;
    ota_trailer_init(&other);
    for (uint32_t done = 0; done < SECTOR;) {
        uint32_t n = (random32(&state) % 20 + 1) * OTA_MARK_BYTES;
        n = n < SECTOR - done ? n : SECTOR - done;
        ota_trailer_push(&other, bytes + END - SECTOR + done, n);
        done += n;
    }
    CHECK(memcmp(&other, &t, sizeof(t)) == 0 && t.artifact_size == 77);
}

static void test_append_goes_behind_the_last_used_place(void) {
    blank();
    bytes[END - SECTOR + 7 * OTA_MARK_BYTES + 3] = 0xfe;
    CHECK_EQUAL(ota_trailer_read(&t, &io, END), OTA_OK);
    CHECK_EQUAL(append('Y', 0, 0, 1), OTA_OK);
    CHECK_EQUAL(bytes[END - SECTOR + 8 * OTA_MARK_BYTES], 'Y');
    check_read_agrees();
}

static void test_bad_places_are_left_and_the_next_ones_taken(void) {
    for (int errors = 0; errors < 2; errors++) {
        blank();
        const struct nor_range bad = {END - SECTOR + OTA_MARK_BYTES, 3 * OTA_MARK_BYTES};
        chip.nor.stuck = errors ? (struct nor_range){0, 0} : bad;
        chip.nor.unwritable = errors ? bad : (struct nor_range){0, 0};
        CHECK_EQUAL(append('C', 0, 4, 2), OTA_OK);
        CHECK(t.next == 5 && t.complete == 2);
        CHECK_EQUAL(bytes[END - SECTOR], 'C');
        CHECK_EQUAL(bytes[END - SECTOR + 4 * OTA_MARK_BYTES], 'C');
        check_read_agrees();
    }
}

static void test_four_bad_places_in_a_row_are_a_failure(void) {
    blank();
    chip.nor.stuck = (struct nor_range){END - SECTOR, 4 * OTA_MARK_BYTES};
    CHECK_EQUAL(append('C', 0, 4, 2), OTA_E_FLASH);
    CHECK_EQUAL(t.next, 4);
    CHECK_EQUAL(append('C', 0, 4, 2), OTA_OK);
    check_read_agrees();
}

static void test_place_that_cannot_be_read_back_is_left(void) {
    blank();
    chip.nor.unreadable = (struct nor_range){END - SECTOR, OTA_MARK_BYTES};
    CHECK_EQUAL(append('T', 1, 0, 1), OTA_OK);
    CHECK_EQUAL(t.next, 2);
}

static void test_full_trailer_is_told_and_nothing_written_behind_it(void) {
    blank();
    for (uint32_t i = 0; i < SECTOR / OTA_MARK_BYTES - 1; i++) {
        CHECK_EQUAL(append('P', 1, i, 1), OTA_OK);
    }
    CHECK_EQUAL(append('Y', 0, 0, 2), OTA_E_TRAILER_FULL);
    CHECK_EQUAL(t.confirmed, 1);
    CHECK_EQUAL(append('Y', 0, 0, 1), OTA_E_TRAILER_FULL);
    check_read_agrees();
    for (uint32_t i = END; i < sizeof(bytes); i++) {
        CHECK_EQUAL(bytes[i], 0xff);
    }
}

static void test_flash_that_cannot_be_read_is_told(void) {
    blank();
    chip.nor.unreadable = (struct nor_range){END - SECTOR, SECTOR};
    CHECK_EQUAL(ota_trailer_read(&t, &io, END), OTA_E_FLASH);
}

static void test_place_that_cannot_be_read_is_passed_over(void) {
    blank();
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQUAL(append('C', 0, 7, 1), OTA_OK);
    }
    for (uint32_t i = 0; i < 4; i++) {
        chip.nor.unreadable = (struct nor_range){END - SECTOR + i * OTA_MARK_BYTES + 8, 8};
        CHECK_EQUAL(ota_trailer_read(&t, &io, END), OTA_OK);
        CHECK_EQUAL(t.complete, i < 3 ? 2 : 3);
        CHECK_EQUAL(t.next, i < 3 ? 3 : 4); // not to be written over either
    }
}

static void test_torn_mark_never_tells_another_thing(void) {
    for (uint32_t seed = 0; seed < 2000; seed++) {
        blank();
        chip.nor.cut_at = 2;
        chip.nor.cut_seed = seed;
        CHECK_EQUAL(append('C', 0, 0x55aa1234, 2), OTA_E_FLASH);
        norchip_init(&chip, bytes, sizeof(bytes), SECTOR);
        CHECK_EQUAL(ota_trailer_read(&t, &io, END), OTA_OK);
        CHECK(t.sequence == 0x55aa1234 && t.complete >= 1 && t.complete <= 2);
        CHECK_EQUAL(append('C', 0, 0x55aa1234, 1), OTA_OK);
        check_read_agrees();
    }
}

int main(void) {
    RUN(test_mark_is_encoded_as_zlib_does);
    RUN(test_mark_with_any_flipped_bit_does_not_decode);
    RUN(test_zeros_blank_and_unknown_kinds_do_not_decode);
    RUN(test_blank_trailer_says_nothing);
    RUN(test_every_kind_is_told);
    RUN(test_first_counts_but_highest_progress_and_trial);
    RUN(test_what_is_not_a_mark_is_passed_over);
    RUN(test_any_split_in_marks_tells_the_same);
    RUN(test_append_goes_behind_the_last_used_place);
    RUN(test_bad_places_are_left_and_the_next_ones_taken);
    RUN(test_four_bad_places_in_a_row_are_a_failure);
    RUN(test_place_that_cannot_be_read_back_is_left);
    RUN(test_full_trailer_is_told_and_nothing_written_behind_it);
    RUN(test_flash_that_cannot_be_read_is_told);
    RUN(test_place_that_cannot_be_read_is_passed_over);
    RUN(test_torn_mark_never_tells_another_thing);
    puts("test_trailer passed");
    return 0;
}
