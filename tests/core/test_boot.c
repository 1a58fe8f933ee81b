// The second boot's decision table (DESIGN.md), a sentence for each line and each way it can fail.
// SPDX-License-Identifier: MIT
#include "boot.h"
#include "check.h"
#include "norchip.h"
#include "vectors.h"

#define SECTOR 4096u
#define SLOT_BYTES (3 * SECTOR)
#define A 0
#define B 1
#define IMAGE(name) v_##name, sizeof(v_##name)

static uint8_t bytes[2 * SLOT_BYTES];
static struct norchip chip;
static struct ota_io io;
static ota_boot_t boot;
static struct ota_boot_config config;
static struct ota_boot_choice choice;
static uint32_t places[2];
static const struct ota_key keys[] = {{v_key3072, sizeof(v_key3072)}, {v_key, sizeof(v_key)}};

static void blank(void) {
    memset(bytes, 0xff, sizeof(bytes));
    memset(places, 0, sizeof(places));
    config = (struct ota_boot_config){
        .slots = {{0, SLOT_BYTES}, {SLOT_BYTES, SLOT_BYTES}},
        .trust = {.keys = keys, .key_count = 2, .vendor_id = v_vendor, .class_id = v_class, .min_counter = 1000},
    };
    norchip_init(&chip, bytes, sizeof(bytes), SECTOR);
    norchip_io(&chip, &io);
}

static uint8_t *trailer(int slot) {
    return bytes + (uint32_t)(slot + 1) * SLOT_BYTES - SECTOR;
}

static void put(int slot, uint8_t kind, uint8_t arg, uint32_t number, uint32_t counter) {
    struct ota_mark m = {.kind = kind, .arg = arg, .number = number};
    ota_put_le32(m.tail, counter);
    ota_mark_encode(trailer(slot) + OTA_MARK_BYTES * places[slot]++, &m);
}

static void put_image(int slot, const uint8_t *image, size_t n) {
    memcpy(bytes + (uint32_t)slot * SLOT_BYTES, image, n);
}

static void complete(int slot, uint32_t sequence, uint32_t counter) {
    put(slot, 'C', 0, sequence, counter);
    put(slot, 'C', 0, sequence, counter);
}

static void confirm(int slot) {
    put(slot, 'Y', 0, 0, 0);
    put(slot, 'Y', 0, 0, 0);
}

// A with counter 1, confirmed, and B, counter 5, committed after it: what a finished fetch leaves.
static void updated(void) {
    blank();
    put_image(A, IMAGE(image_counter1));
    complete(A, 1, 1);
    confirm(A);
    put_image(B, IMAGE(image_counter5));
    complete(B, 2, 5);
}

static int choose(void) {
    memset(&boot, 0xa5, sizeof(boot));
    int r = ota_boot_choose(&boot, &io, &config, &choice);
    CHECK_EQUAL(chip.misuses, 0);
    CHECK_EQUAL(chip.erases, 0);
    return r;
}

static void check_starts(int slot, enum ota_boot_how how) {
    CHECK_EQUAL(choose(), OTA_OK);
    CHECK_EQUAL(choice.how, how);
    CHECK_EQUAL(choice.slot, slot);
    CHECK_EQUAL(choice.offset, (uint32_t)slot * SLOT_BYTES + 32);
    CHECK_EQUAL(choice.payload_size, ota_get_le32(bytes + (uint32_t)slot * SLOT_BYTES + 12));
    CHECK(choice.trial == 0 || how == OTA_BOOT_TRIAL);
}

static void check_console(void) {
    CHECK_EQUAL(choose(), OTA_OK);
    CHECK_EQUAL(choice.how, OTA_BOOT_CONSOLE);
}

static ota_trailer_t told(int slot) {
    ota_trailer_t t;
    CHECK_EQUAL(ota_trailer_read(&t, &io, (uint32_t)(slot + 1) * SLOT_BYTES), OTA_OK);
    return t;
}

static void check_rejected(int slot, uint32_t reason) {
    CHECK_EQUAL(told(slot).rejected, 2);
    CHECK_EQUAL(told(slot).reason, reason);
}

static void test_blank_flash_goes_to_the_console(void) {
    blank();
    check_console();
    CHECK_EQUAL(chip.writes, 0);
}

static void test_flash_that_cannot_be_read_is_told(void) {
    blank();
    chip.nor.unreadable = (struct nor_range){0, sizeof(bytes)};
    CHECK_EQUAL(choose(), OTA_E_FLASH);
    CHECK_EQUAL(choice.how, OTA_BOOT_CONSOLE);
}

// Rule 1

static void test_new_image_is_tried_and_the_trial_recorded_first(void) {
    updated();
    check_starts(B, OTA_BOOT_TRIAL);
    CHECK_EQUAL(choice.trial, 1);
    CHECK_EQUAL(told(B).tried, 1);
    CHECK_EQUAL(chip.writes, 1);
}

static void test_new_image_is_tried_in_either_slot(void) {
    blank();
    put_image(B, IMAGE(image_counter1));
    complete(B, 8, 1);
    confirm(B);
    put_image(A, IMAGE(image_counter5));
    complete(A, 9, 5);
    check_starts(A, OTA_BOOT_TRIAL);
}

static void test_unconfirmed_image_is_tried_three_times_then_rejected(void) {
    updated();
    for (uint8_t trial = 1; trial <= 3; trial++) {
        check_starts(B, OTA_BOOT_TRIAL);
        CHECK_EQUAL(choice.trial, trial);
    }
    check_starts(A, OTA_BOOT_CONFIRMED);
    check_rejected(B, 1090);
    check_starts(A, OTA_BOOT_CONFIRMED);
}

static void test_number_of_trials_is_the_boards(void) {
    updated();
    config.tries = 1;
    check_starts(B, OTA_BOOT_TRIAL);
    check_starts(A, OTA_BOOT_CONFIRMED);
    check_rejected(B, 1090);
}

static void test_confirmed_trial_is_kept(void) {
    updated();
    check_starts(B, OTA_BOOT_TRIAL);
    places[B]++;
    confirm(B);
    for (int i = 0; i < 5; i++) {
        check_starts(B, OTA_BOOT_CONFIRMED);
    }
    CHECK_EQUAL(chip.writes, 1);
}

static void check_bad_candidate(uint32_t reason) {
    check_starts(A, OTA_BOOT_CONFIRMED);
    check_rejected(B, reason);
    CHECK_EQUAL(chip.writes, 2);
    check_starts(A, OTA_BOOT_CONFIRMED);
    CHECK_EQUAL(chip.writes, 2);
}

static void test_candidate_with_a_flipped_bit_is_rejected(void) {
    updated();
    bytes[SLOT_BYTES + 100] ^= 1;
    check_bad_candidate(1005);
}

static void test_candidate_with_a_wrong_signature_is_rejected(void) {
    updated();
    bytes[SLOT_BYTES + sizeof(v_image_counter5) - 1] ^= 1;
    check_bad_candidate(1007);
}

static void test_candidate_by_a_foreign_key_is_rejected(void) {
    updated();
    put_image(B, IMAGE(image_foreign));
    check_bad_candidate(1006);
}

static void test_candidate_for_another_board_is_rejected(void) {
    updated();
    put_image(B, IMAGE(image_other_board));
    check_bad_candidate(1008);
}

static void test_candidate_that_is_no_image_is_rejected(void) {
    updated();
    memset(bytes + SLOT_BYTES, 0xff, SLOT_BYTES - SECTOR);
    check_bad_candidate(1001);
}

static void test_candidate_that_is_a_patch_is_rejected(void) {
    updated();
    put_image(B, IMAGE(image_not_bootable));
    check_bad_candidate(1002);
}

static void test_candidate_that_reaches_into_the_trailer_is_rejected(void) {
    updated();
    ota_put_le32(bytes + SLOT_BYTES + 12, SLOT_BYTES - SECTOR);
    check_bad_candidate(1003);
}

static void test_candidate_with_a_counter_below_the_confirmed_is_rejected(void) {
    blank();
    put_image(A, IMAGE(image_counter6));
    complete(A, 1, 6);
    confirm(A);
    put_image(B, IMAGE(image_counter5));
    complete(B, 2, 5);
    check_bad_candidate(1009);
}

static void test_candidate_with_the_confirmed_counter_is_tried(void) {
    updated();
    put_image(A, IMAGE(image_counter5));
    memset(trailer(A), 0xff, SECTOR);
    places[A] = 0;
    complete(A, 1, 5);
    confirm(A);
    check_starts(B, OTA_BOOT_TRIAL);
}

static void test_candidate_whose_mark_has_another_counter_is_rejected(void) {
    for (uint32_t counter = 4; counter <= 6; counter += 2) {
        updated();
        memset(trailer(B), 0xff, SECTOR);
        places[B] = 0;
        complete(B, 2, counter);
        check_bad_candidate(1009);
    }
}

static void test_candidate_that_cannot_be_read_is_rejected(void) {
    updated();
    chip.nor.unreadable = (struct nor_range){SLOT_BYTES + 512, 4};
    check_bad_candidate(1060);
}

static void test_older_complete_slot_is_no_candidate(void) {
    updated();
    memset(trailer(B), 0xff, SECTOR);
    places[B] = 0;
    complete(B, 1, 5);
    check_starts(A, OTA_BOOT_CONFIRMED);
    CHECK_EQUAL(chip.writes, 0);
}

static void test_incomplete_slot_is_no_candidate(void) {
    updated();
    memset(trailer(B), 0xff, SECTOR);
    places[B] = 0;
    put(B, 'S', 0, 1000, 0);
    put(B, 'P', 64, 4096, 0);
    check_starts(A, OTA_BOOT_CONFIRMED);
    CHECK_EQUAL(chip.writes, 0);
}

static void test_rejected_slot_is_no_candidate(void) {
    updated();
    put(B, 'X', 0, 1091, 0);
    put(B, 'X', 0, 1091, 0);
    check_starts(A, OTA_BOOT_CONFIRMED);
    CHECK_EQUAL(chip.writes, 0);
}

static void test_newest_of_two_candidates_is_tried_then_the_other(void) {
    blank();
    config.tries = 1;
    put_image(A, IMAGE(image_counter1));
    complete(A, 1, 1);
    put_image(B, IMAGE(image_counter5));
    complete(B, 2, 5);
    check_starts(B, OTA_BOOT_TRIAL);
    check_starts(A, OTA_BOOT_TRIAL);
    check_rejected(B, 1090);
    check_console();
    check_rejected(A, 1090);
}

static void test_trial_that_cannot_be_recorded_is_not_started(void) {
    for (int errors = 0; errors < 2; errors++) {
        updated();
        const struct nor_range bad = {2 * SLOT_BYTES - SECTOR, SECTOR};
        chip.nor.stuck = errors ? (struct nor_range){0, 0} : bad;
        chip.nor.unwritable = errors ? bad : (struct nor_range){0, 0};
        check_starts(A, OTA_BOOT_CONFIRMED);
        CHECK_EQUAL(told(B).tried, 0);
    }
}

static void test_trial_that_cannot_be_recorded_leaves_an_unmarked_slot_first(void) {
    updated();
    memset(trailer(A), 0xff, SECTOR);
    chip.nor.stuck = (struct nor_range){2 * SLOT_BYTES - SECTOR, SECTOR};
    check_starts(A, OTA_BOOT_VERIFIED);
}

static void test_trial_with_a_full_trailer_is_not_started(void) {
    updated();
    while (places[B] < SECTOR / OTA_MARK_BYTES) {
        put(B, 'P', 1, 0, 0);
    }
    check_starts(A, OTA_BOOT_CONFIRMED);
}

static void test_exhausted_slot_that_cannot_be_rejected_is_still_not_tried(void) {
    updated();
    put(B, 'T', 3, 0, 0);
    chip.nor.stuck = (struct nor_range){2 * SLOT_BYTES - SECTOR, SECTOR};
    check_starts(A, OTA_BOOT_CONFIRMED);
}

// Rule 2

static void test_confirmed_slot_starts_without_a_write_and_without_hashing(void) {
    updated();
    memset(trailer(B), 0xff, SECTOR);
    check_starts(A, OTA_BOOT_CONFIRMED);
    CHECK_EQUAL(chip.writes, 0);
    CHECK_EQUAL(chip.feeds, 1);
    bytes[100] ^= 1;
    check_starts(A, OTA_BOOT_CONFIRMED);
}

static void test_newest_of_two_confirmed_slots_starts(void) {
    updated();
    confirm(B);
    check_starts(B, OTA_BOOT_CONFIRMED);
    memset(trailer(A), 0xff, SECTOR);
    places[A] = 0;
    complete(A, 3, 1);
    confirm(A);
    check_starts(A, OTA_BOOT_CONFIRMED);
}

static void test_confirmed_slot_is_verified_after_a_watchdog_reset(void) {
    updated();
    memset(trailer(B), 0xff, SECTOR);
    config.suspicious = true;
    check_starts(A, OTA_BOOT_CONFIRMED);
    CHECK(chip.feeds > 17);
    bytes[100] ^= 1;
    put_image(B, IMAGE(image_counter5));
    check_starts(B, OTA_BOOT_VERIFIED);
    CHECK_EQUAL(chip.writes, 0);
}

static void test_confirmed_slot_without_an_image_is_left_but_not_rejected(void) {
    updated();
    put(B, 'X', 0, 1091, 0);
    put(B, 'X', 0, 1091, 0);
    bytes[0] = 0;
    check_console();
    CHECK_EQUAL(told(A).rejected, 0);
    bytes[0] = v_image_counter1[0];
    check_starts(A, OTA_BOOT_CONFIRMED);
    CHECK_EQUAL(chip.writes, 0);
}

static void test_older_confirmed_slot_starts_when_the_newest_is_bad(void) {
    blank();
    put_image(A, IMAGE(image_counter5));
    complete(A, 1, 5);
    confirm(A);
    put_image(B, IMAGE(image_counter5));
    complete(B, 2, 5);
    confirm(B);
    config.suspicious = true;
    bytes[SLOT_BYTES + 100] ^= 1;
    check_starts(A, OTA_BOOT_CONFIRMED);
    CHECK_EQUAL(told(B).rejected, 0);
}

static void test_older_confirmed_slot_with_a_lower_counter_does_not_start(void) {
    updated();
    confirm(B);
    bytes[SLOT_BYTES] = 0;
    check_console();
}

static void test_confirmed_slot_that_was_rolled_back_counts_no_longer(void) {
    updated();
    confirm(B);
    put(B, 'X', 0, 1091, 0);
    put(B, 'X', 0, 1091, 0);
    check_starts(A, OTA_BOOT_CONFIRMED);
}

static void test_confirmed_mark_without_a_complete_one_confirms_nothing(void) {
    blank();
    put_image(A, IMAGE(image_counter1));
    confirm(A);
    check_starts(A, OTA_BOOT_VERIFIED);
}

// Rule 3

static void test_factory_image_without_marks_starts_if_it_verifies(void) {
    for (int slot = A; slot <= B; slot++) {
        blank();
        put_image(slot, IMAGE(image_counter5));
        check_starts(slot, OTA_BOOT_VERIFIED);
        CHECK_EQUAL(chip.writes, 0);
        bytes[(uint32_t)slot * SLOT_BYTES + 50] ^= 1;
        check_console();
        CHECK_EQUAL(chip.writes, 0);
    }
}

static void test_factory_image_starts_again_after_a_failed_update(void) {
    updated();
    memset(trailer(A), 0xff, SECTOR);
    for (int i = 0; i < 3; i++) {
        check_starts(B, OTA_BOOT_TRIAL);
    }
    check_starts(A, OTA_BOOT_VERIFIED);
    check_rejected(B, 1090);
}

static void test_rejected_image_never_starts(void) {
    blank();
    put_image(A, IMAGE(image_counter5));
    put(A, 'X', 0, 1090, 0);
    put(A, 'X', 0, 1090, 0);
    check_console();
}

static void test_patch_never_starts(void) {
    blank();
    put_image(A, IMAGE(image_not_bootable));
    check_console();
}

static void test_image_with_a_counter_below_the_confirmed_does_not_start(void) {
    blank();
    put_image(A, IMAGE(image_counter5));
    put_image(B, IMAGE(image_counter6));
    complete(B, 2, 6);
    confirm(B);
    bytes[SLOT_BYTES] = 0;
    check_console();
    CHECK_EQUAL(chip.writes, 0);
}

static void test_slot_with_an_unreadable_trailer_starts_if_it_verifies(void) {
    blank();
    put_image(A, IMAGE(image_counter5));
    chip.nor.unreadable = (struct nor_range){SLOT_BYTES - SECTOR, SECTOR};
    check_starts(A, OTA_BOOT_VERIFIED);
}

// Marks kept twice

static void test_missing_second_copies_are_written_before_the_start(void) {
    blank();
    put_image(A, IMAGE(image_counter1));
    put(A, 'C', 0, 1, 1);
    put(A, 'Y', 0, 0, 0);
    put_image(B, IMAGE(image_counter5));
    put(B, 'C', 0, 2, 5);
    put(B, 'X', 0, 1091, 0);
    check_starts(A, OTA_BOOT_CONFIRMED);
    CHECK_EQUAL(chip.writes, 4);
    CHECK(told(A).complete == 2 && told(A).confirmed == 2 && told(A).sequence == 1 && told(A).counter == 1);
    CHECK(told(B).complete == 2 && told(B).counter == 5);
    check_rejected(B, 1091);
    memset(trailer(A), 0, OTA_MARK_BYTES); // the copies are as good as the first
    memset(trailer(B), 0, 2 * OTA_MARK_BYTES);
    check_starts(A, OTA_BOOT_CONFIRMED);
    CHECK_EQUAL(chip.writes, 7);
}

static void test_second_copies_that_cannot_be_written_are_done_without(void) {
    blank();
    put_image(A, IMAGE(image_counter1));
    put(A, 'C', 0, 1, 1);
    put(A, 'Y', 0, 0, 0);
    chip.nor.unwritable = (struct nor_range){0, sizeof(bytes)};
    check_starts(A, OTA_BOOT_CONFIRMED);
}

// Power

// Cuts power at each write in turn; at the next boot `slot` must start in the end, or a trial of B.
static void check_cuts(void (*prepare)(void), int starts) {
    uint32_t cuts = 0;
    for (uint32_t seed = 0; seed < 20; seed++) {
        for (uint32_t cut_at = 1;; cut_at++) {
            prepare();
            chip.nor.cut_at = cut_at;
            chip.nor.cut_seed = seed * 100 + cut_at;
            CHECK(choose() <= OTA_OK);
            if (!chip.off) {
                break;
            }
            cuts++;
            norchip_init(&chip, bytes, sizeof(bytes), SECTOR);
            CHECK_EQUAL(choose(), OTA_OK);
            CHECK_EQUAL(choice.slot, starts);
            CHECK(choice.how == OTA_BOOT_TRIAL || choice.how == OTA_BOOT_CONFIRMED);
        }
    }
    CHECK(cuts >= 20);
}

static void exhausted(void) {
    updated();
    put(B, 'T', 3, 0, 0);
}

static void bad(void) {
    updated();
    bytes[SLOT_BYTES + 100] ^= 1;
}

static void single_copies(void) {
    blank();
    put_image(A, IMAGE(image_counter1));
    put(A, 'C', 0, 1, 1);
    put(A, 'Y', 0, 0, 0);
    put(B, 'X', 0, 1091, 0);
}

static void test_cut_during_a_tried_mark_starts_the_trial_again(void) {
    check_cuts(updated, B);
}

static void test_cut_during_a_rejection_still_starts_the_confirmed_slot(void) {
    check_cuts(exhausted, A);
    check_cuts(bad, A);
}

static void test_cut_while_copies_are_mended_still_starts_the_confirmed_slot(void) {
    check_cuts(single_copies, A);
}

static void run_trials(void) {
    RUN(test_new_image_is_tried_and_the_trial_recorded_first);
    RUN(test_new_image_is_tried_in_either_slot);
    RUN(test_unconfirmed_image_is_tried_three_times_then_rejected);
    RUN(test_number_of_trials_is_the_boards);
    RUN(test_confirmed_trial_is_kept);
    RUN(test_candidate_with_a_flipped_bit_is_rejected);
    RUN(test_candidate_with_a_wrong_signature_is_rejected);
    RUN(test_candidate_by_a_foreign_key_is_rejected);
    RUN(test_candidate_for_another_board_is_rejected);
    RUN(test_candidate_that_is_no_image_is_rejected);
    RUN(test_candidate_that_is_a_patch_is_rejected);
    RUN(test_candidate_that_reaches_into_the_trailer_is_rejected);
    RUN(test_candidate_with_a_counter_below_the_confirmed_is_rejected);
    RUN(test_candidate_with_the_confirmed_counter_is_tried);
    RUN(test_candidate_whose_mark_has_another_counter_is_rejected);
    RUN(test_candidate_that_cannot_be_read_is_rejected);
    RUN(test_older_complete_slot_is_no_candidate);
    RUN(test_incomplete_slot_is_no_candidate);
    RUN(test_rejected_slot_is_no_candidate);
    RUN(test_newest_of_two_candidates_is_tried_then_the_other);
    RUN(test_trial_that_cannot_be_recorded_is_not_started);
    RUN(test_trial_that_cannot_be_recorded_leaves_an_unmarked_slot_first);
    RUN(test_trial_with_a_full_trailer_is_not_started);
    RUN(test_exhausted_slot_that_cannot_be_rejected_is_still_not_tried);
}

static void run_confirmed(void) {
    RUN(test_confirmed_slot_starts_without_a_write_and_without_hashing);
    RUN(test_newest_of_two_confirmed_slots_starts);
    RUN(test_confirmed_slot_is_verified_after_a_watchdog_reset);
    RUN(test_confirmed_slot_without_an_image_is_left_but_not_rejected);
    RUN(test_older_confirmed_slot_starts_when_the_newest_is_bad);
    RUN(test_older_confirmed_slot_with_a_lower_counter_does_not_start);
    RUN(test_confirmed_slot_that_was_rolled_back_counts_no_longer);
    RUN(test_confirmed_mark_without_a_complete_one_confirms_nothing);
}

static void run_verified(void) {
    RUN(test_factory_image_without_marks_starts_if_it_verifies);
    RUN(test_factory_image_starts_again_after_a_failed_update);
    RUN(test_rejected_image_never_starts);
    RUN(test_patch_never_starts);
    RUN(test_image_with_a_counter_below_the_confirmed_does_not_start);
    RUN(test_slot_with_an_unreadable_trailer_starts_if_it_verifies);
}

int main(void) {
    RUN(test_blank_flash_goes_to_the_console);
    RUN(test_flash_that_cannot_be_read_is_told);
    run_trials();
    run_confirmed();
    run_verified();
    RUN(test_missing_second_copies_are_written_before_the_start);
    RUN(test_second_copies_that_cannot_be_written_are_done_without);
    RUN(test_cut_during_a_tried_mark_starts_the_trial_again);
    RUN(test_cut_during_a_rejection_still_starts_the_confirmed_slot);
    RUN(test_cut_while_copies_are_mended_still_starts_the_confirmed_slot);
    puts("test_boot passed");
    return 0;
}
