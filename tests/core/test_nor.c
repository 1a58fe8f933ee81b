// The flash model itself: the chip's rules, and every way in which it fails.
// SPDX-License-Identifier: MIT
#include "check.h"
#include "norchip.h"

#define SECTOR 4096u
#define SIZE (4 * SECTOR)

static uint8_t cells[SIZE];
static struct norchip chip;
static struct ota_io io;
static uint8_t page[NOR_PAGE_BYTES] __attribute__((aligned(4)));
static uint8_t back[SECTOR] __attribute__((aligned(4)));

static void blank(void) {
    memset(cells, 0xff, sizeof(cells));
    norchip_init(&chip, cells, sizeof(cells), SECTOR);
    norchip_io(&chip, &io);
}

// The STM32's flash: pages of 2 KiB, 8 bytes under one ECC. `from`: first guarded byte.
static void blank_guarded(uint32_t unit, uint32_t from) {
    blank();
    chip.nor.geometry.guarded_unit = unit;
    chip.nor.geometry.guarded[0] = (struct nor_range){from, SIZE - from};
    chip.command = unit;
}

static void cut_next(uint32_t kind, uint32_t seed) {
    chip.nor.cut_at = chip.nor.operations + 1;
    chip.nor.cut_kind = kind;
    chip.nor.cut_seed = seed;
}

static void power_on(void) {
    chip.off = false;
    chip.nor.cut_at = 0;
}

static int write(uint32_t offset, uint8_t value, uint32_t n) {
    memset(page, value, sizeof(page));
    return io.write(io.ctx, offset, page, n);
}

static uint32_t ones(const uint8_t *p, uint32_t n) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < n * 8; i++) {
        count += p[i / 8] >> i % 8 & 1;
    }
    return count;
}

static bool all_are(const uint8_t *p, uint32_t n, uint8_t value) {
    uint32_t i = 0;
    while (i < n && p[i] == value) {
        i++;
    }
    return i == n;
}

// Of 64 reads of a place, how many differed from the first one, and how many failed.
static uint32_t count_changes(uint32_t offset, uint32_t n, uint32_t *failed) {
    uint32_t changes = 0;
    uint8_t first[64] __attribute__((aligned(4)));
    *failed = io.read(io.ctx, offset, first, n) != OTA_OK;
    for (uint32_t i = 1; i < 64; i++) {
        if (io.read(io.ctx, offset, back, n) != OTA_OK) {
            *failed += 1;
        } else {
            changes += memcmp(first, back, n) != 0;
        }
    }
    return changes;
}

// Rules

static void test_erase_sets_and_program_clears(void) {
    blank();
    CHECK_EQUAL(write(256, 0x5a, 32), OTA_OK);
    CHECK_EQUAL(write(256, 0x0a, 32), OTA_OK); // more zeros only
    CHECK(all_are(cells + 256, 32, 0x0a));
    CHECK_EQUAL(io.erase(io.ctx, 0, SECTOR), OTA_OK);
    CHECK(all_are(cells, SECTOR, 0xff));
    CHECK_EQUAL(chip.misuses, 0);
}

static void test_strict_chip_refuses_to_set_a_cleared_bit(void) {
    blank();
    CHECK_EQUAL(write(0, 0x0f, 16), OTA_OK);
    CHECK_EQUAL(write(0, 0x1f, 16), OTA_E_FLASH);
    CHECK_EQUAL(chip.misuses, 1);
    CHECK(all_are(cells, 16, 0x0f));
}

static void test_what_is_unaligned_or_out_of_range_is_a_misuse(void) {
    const uint32_t bad[][2] = {{8, 16}, {0, 8}, {SIZE, 16}, {SIZE - 16, 32}, {UINT32_MAX - 15, 16}};
    blank();
    for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_EQUAL(write(bad[i][0], 0, bad[i][1]), OTA_E_FLASH);
        CHECK_EQUAL(chip.misuses, i + 1);
    }
    CHECK_EQUAL(io.erase(io.ctx, 256, SECTOR), OTA_E_FLASH);
    CHECK_EQUAL(io.erase(io.ctx, SIZE, SECTOR), OTA_E_FLASH);
    CHECK_EQUAL(io.read(io.ctx, SIZE, back, 4), OTA_E_FLASH);
    CHECK_EQUAL(chip.nor.operations, 0);
    CHECK(all_are(cells, SIZE, 0xff));
}

static void test_program_is_cut_into_the_driver_s_commands(void) {
    blank();
    chip.command = 12;
    CHECK_EQUAL(write(16, 0, 16), OTA_OK); // 12 + 4
    CHECK_EQUAL(chip.nor.programs, 2);
    chip.command = 32;
    CHECK_EQUAL(write(512, 0, 256), OTA_OK);
    CHECK_EQUAL(chip.nor.programs, 10);
    CHECK_EQUAL(chip.nor.operations, 10);
}

static void test_wear_is_counted_for_each_sector(void) {
    blank();
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQUAL(io.erase(io.ctx, SECTOR, SECTOR), OTA_OK);
    }
    CHECK_EQUAL(io.erase(io.ctx, 0, 2 * SECTOR), OTA_OK);
    CHECK_EQUAL(chip.nor.wear[0], 1);
    CHECK_EQUAL(chip.nor.wear[1], 4);
    CHECK_EQUAL(chip.nor.wear[2], 0);
    CHECK_EQUAL(chip.nor.erases, 5);
}

static void test_block_is_erased_by_one_operation(void) {
    blank();
    memset(cells, 0, sizeof(cells));
    chip.nor.geometry.block = 2 * SECTOR;
    CHECK_EQUAL(io.erase(io.ctx, SECTOR, 3 * SECTOR), OTA_OK); // a sector, then a block
    CHECK_EQUAL(chip.nor.erases, 2);
    CHECK(all_are(cells, SECTOR, 0) && all_are(cells + SECTOR, 3 * SECTOR, 0xff));
    CHECK_EQUAL(chip.nor.wear[3], 1);
}

// Cuts

static void test_after_a_cut_nothing_works_until_power_is_back(void) {
    blank();
    cut_next(NOR_PROGRAM_ALL, 1);
    CHECK_EQUAL(write(0, 0, 16), OTA_E_FLASH);
    CHECK(chip.off);
    CHECK_EQUAL(io.read(io.ctx, 0, back, 16), OTA_E_FLASH);
    CHECK_EQUAL(write(16, 0, 16), OTA_E_FLASH);
    CHECK_EQUAL(io.erase(io.ctx, 0, SECTOR), OTA_E_FLASH);
    CHECK(all_are(cells, 16, 0) && all_are(cells + 16, SECTOR - 16, 0xff));
    power_on();
    CHECK_EQUAL(io.read(io.ctx, 0, back, 16), OTA_OK);
    CHECK_EQUAL(chip.misuses, 0);
}

static void test_cut_program_leaves_nothing_a_prefix_a_subset_or_all(void) {
    uint32_t prefixes = 0, subsets = 0;
    for (uint32_t seed = 0; seed < 200; seed++) {
        for (uint32_t kind = NOR_PROGRAM_NONE; kind <= NOR_PROGRAM_ALL; kind++) {
            uint32_t whole = 0;
            blank();
            cut_next(kind, seed);
            (void)!write(0, 0x3c, 32);
            CHECK(all_are(cells + 32, SIZE - 32, 0xff));
            for (uint32_t i = 0; i < 32; i++) {
                CHECK((cells[i] & 0x3c) == 0x3c); // no bit that was to stay is cleared
            }
            while (whole < 32 && cells[whole] == 0x3c) {
                whole++;
            }
            CHECK(kind != NOR_PROGRAM_NONE || all_are(cells, 32, 0xff));
            CHECK(kind != NOR_PROGRAM_ALL || whole == 32);
            if (kind == NOR_PROGRAM_PREFIX) {
                CHECK(whole == 32 || all_are(cells + whole + 1, 31 - whole, 0xff));
                prefixes |= 1u << whole % 32;
            }
            subsets += kind == NOR_PROGRAM_SUBSET && whole < 31 && ones(cells, 32) < 256;
        }
    }
    CHECK_EQUAL(ones((const uint8_t *)&prefixes, 4), 32); // of every length
    CHECK(subsets > 190);
}

static void test_marginal_cells_read_differently_until_programmed_or_erased(void) {
    uint32_t failed, unsteady = 0;
    for (uint32_t seed = 0; seed < 20; seed++) {
        blank();
        cut_next(NOR_PROGRAM_UNSTABLE, seed);
        (void)!write(0, 0x00, 16);
        power_on();
        unsteady += count_changes(0, 16, &failed) > 0;
        CHECK_EQUAL(failed, 0);
        CHECK(nor_scarred(&chip.nor, 0, 4) && !nor_scarred(&chip.nor, 16, SIZE - 16));
        CHECK_EQUAL(count_changes(16, 16, &failed), 0);
        CHECK_EQUAL(write(0, 0x00, 16), OTA_OK); // no misuse: they may have read as blank
        CHECK_EQUAL(count_changes(0, 16, &failed), 0);
        CHECK(!nor_scarred(&chip.nor, 0, SIZE));
    }
    CHECK_EQUAL(unsteady, 20);
    CHECK_EQUAL(chip.misuses, 0);
}

static void test_the_same_seed_leaves_the_same_cells(void) {
    static uint8_t once[SIZE];
    for (uint32_t kind = 0; kind < NOR_ERASE_CUTS; kind++) {
        for (uint32_t seed = 1; seed < 4; seed++) {
            for (uint32_t i = 0; i < 2; i++) {
                blank();
                memset(cells, 0x77, SECTOR);
                cut_next(kind, seed);
                (void)!io.erase(io.ctx, 0, SECTOR);
                CHECK(i == 0 || memcmp(once, cells, SIZE) == 0);
                memcpy(once, cells, SIZE);
            }
        }
    }
}

// What each cut of an erase leaves of a sector of 0x77, that is of 24,576 ones of 32,768 bits.
static void test_cut_erase_has_its_shapes(void) {
    static const uint32_t expected[NOR_ERASE_CUTS][2] = { // ones: from, to
        [NOR_ERASE_NONE] = {24576, 24576}, [NOR_ERASE_EARLY] = {11800, 12800}, [NOR_ERASE_ZEROED] = {0, 0},
        [NOR_ERASE_NOISE] = {15900, 16900}, [NOR_ERASE_LATE] = {32768, 32768}, [NOR_ERASE_UNSTABLE] = {32768, 32768},
        [NOR_ERASE_MIXED] = {20000, 26000}, [NOR_ERASE_FEW_MORE] = {24000, 24400}, [NOR_ERASE_FEW_LEFT] = {32500, 32720},
    };
    for (uint32_t kind = 0; kind < NOR_ERASE_CUTS; kind++) {
        for (uint32_t seed = 0; seed < 8; seed++) {
            blank();
            memset(cells, 0x77, SECTOR);
            cut_next(kind, seed);
            CHECK_EQUAL(io.erase(io.ctx, 0, SECTOR), OTA_E_FLASH);
            CHECK(chip.off);
            const uint32_t n = ones(cells, SECTOR);
            CHECK(n >= expected[kind][0] && n <= expected[kind][1]);
            CHECK(all_are(cells + SECTOR, SIZE - SECTOR, 0xff));
        }
    }
}

static void test_sector_that_reads_erased_may_not_be(void) {
    uint32_t failed, clean = 0, changes;
    blank();
    memset(cells, 0, SECTOR);
    cut_next(NOR_ERASE_UNSTABLE, 7);
    (void)!io.erase(io.ctx, 0, SECTOR);
    power_on();
    for (uint32_t i = 0; i < 64; i++) {
        CHECK_EQUAL(io.read(io.ctx, 0, back, SECTOR), OTA_OK);
        clean += all_are(back, SECTOR, 0xff);
    }
    CHECK(clean > 4 && clean < 40);
    CHECK_EQUAL(write(0, 0x00, 16), OTA_OK); // zeros over weak ones do not make them strong
    CHECK(nor_scarred(&chip.nor, 64, 16));
    CHECK_EQUAL(io.erase(io.ctx, 0, SECTOR), OTA_OK);
    changes = count_changes(0, 64, &failed);
    CHECK_EQUAL(changes + failed, 0);
    CHECK(!nor_scarred(&chip.nor, 0, SIZE));
}

// Guarded units

static void test_guarded_unit_is_programmed_once_and_as_a_whole(void) {
    blank_guarded(8, 0);
    CHECK_EQUAL(write(0, 0x55, 16), OTA_OK);
    CHECK_EQUAL(chip.nor.programs, 2);
    CHECK_EQUAL(write(0, 0x00, 16), OTA_OK); // zeros over it are allowed
    CHECK_EQUAL(chip.misuses, 0);
    CHECK_EQUAL(write(16, 0x5f, 16), OTA_OK);
    CHECK_EQUAL(write(16, 0x5a, 16), OTA_E_FLASH); // clears bits only, and yet
    CHECK_EQUAL(chip.misuses, 1);
}

static void test_guarded_unit_that_was_cut_raises_when_read(void) {
    uint32_t broken = 0;
    for (uint32_t seed = 0; seed < 50; seed++) {
        blank_guarded(8, 0);
        cut_next(NOR_PROGRAM_SUBSET, seed);
        (void)!write(8 * 16, 0x00, 16);
        power_on();
        broken += io.read(io.ctx, 8 * 16, back, 8) == OTA_E_FLASH;
        CHECK_EQUAL(io.read(io.ctx, 8 * 16 + 8, back, 8), OTA_OK); // only that one
        CHECK_EQUAL(io.read(io.ctx, 0, back, 8 * 16), OTA_OK);
        CHECK_EQUAL(write(8 * 16, 0x00, 16), OTA_OK);
        CHECK_EQUAL(io.erase(io.ctx, 0, SECTOR), OTA_OK);
        CHECK_EQUAL(io.read(io.ctx, 8 * 16, back, 8), OTA_OK);
    }
    CHECK(broken > 45);
    CHECK_EQUAL(chip.misuses, 0);
}

static void test_guarded_unit_that_reads_blank_may_refuse(void) {
    uint32_t refused = 0;
    for (uint32_t seed = 0; seed < 50; seed++) {
        blank_guarded(8, 0);
        cut_next(NOR_PROGRAM_NONE, seed);
        (void)!write(0, 0x00, 16);
        power_on();
        CHECK_EQUAL(io.read(io.ctx, 0, back, 8), OTA_OK);
        CHECK(all_are(back, 8, 0xff));
        refused += write(0, 0x12, 16) != OTA_OK;
    }
    CHECK(refused > 10 && refused < 40);
    CHECK_EQUAL(chip.misuses, 0);
}

static void test_cut_erase_leaves_guarded_units_unreadable(void) {
    uint32_t broken = 0;
    blank_guarded(32, 0);
    memset(cells, 0x77, SECTOR);
    cut_next(NOR_ERASE_NOISE, 3);
    (void)!io.erase(io.ctx, 0, SECTOR);
    power_on();
    for (uint32_t at = 0; at < SECTOR; at += 32) {
        broken += io.read(io.ctx, at, back, 32) != OTA_OK;
    }
    CHECK_EQUAL(broken, SECTOR / 32);
    CHECK_EQUAL(io.erase(io.ctx, 0, SECTOR), OTA_OK);
    CHECK_EQUAL(io.read(io.ctx, 0, back, SECTOR), OTA_OK);
}

static void test_outside_the_guarded_range_bits_may_be_cleared_one_by_one(void) {
    blank_guarded(32, SECTOR);
    CHECK_EQUAL(write(0, 0xfe, 16), OTA_OK);
    CHECK_EQUAL(write(0, 0xfc, 16), OTA_OK);
    CHECK_EQUAL(chip.misuses, 0);
}

// Bad parts

static void test_program_that_fails_stops_half_way_and_says_so(void) {
    uint32_t torn = 0;
    for (uint32_t kind = 0; kind < NOR_PROGRAM_CUTS; kind++) {
        blank();
        chip.nor.fail_at = 1;
        chip.nor.cut_kind = kind;
        chip.nor.random = kind + 1;
        CHECK_EQUAL(write(0, 0x00, 32), OTA_E_FLASH);
        CHECK(!chip.off);
        torn += !all_are(cells, 32, 0);
        CHECK_EQUAL(write(32, 0x00, 32), OTA_OK);
    }
    CHECK(torn >= 3);
}

static void test_bad_sector_neither_erases_nor_programs(void) {
    blank();
    memset(cells + SECTOR, 0x11, SECTOR);
    chip.nor.unwritable = (struct nor_range){SECTOR, SECTOR};
    CHECK_EQUAL(io.erase(io.ctx, SECTOR, SECTOR), OTA_E_FLASH);
    CHECK_EQUAL(write(2 * SECTOR - 32, 0x00, 32), OTA_E_FLASH);
    CHECK_EQUAL(write(0, 0x00, 32), OTA_OK);
    CHECK_EQUAL(chip.misuses, 0);
}

static void test_stuck_sector_reports_success(void) {
    blank();
    memset(cells, 0x11, SECTOR);
    chip.nor.stuck = (struct nor_range){0, SECTOR};
    CHECK_EQUAL(io.erase(io.ctx, 0, SECTOR), OTA_OK);
    CHECK_EQUAL(write(0, 0x00, 16), OTA_OK);
    CHECK(all_are(cells, SECTOR, 0x11));
}

static void test_worn_sector_no_longer_erases(void) {
    blank();
    chip.nor.endurance = 3;
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQUAL(io.erase(io.ctx, 0, SECTOR), OTA_OK);
    }
    CHECK_EQUAL(io.erase(io.ctx, 0, SECTOR), OTA_E_FLASH);
    CHECK_EQUAL(io.erase(io.ctx, SECTOR, SECTOR), OTA_OK);
    CHECK_EQUAL(chip.nor.wear[0], 4);
}

static void test_rot_flips_one_bit_and_breaks_a_guarded_unit(void) {
    blank_guarded(8, SECTOR);
    norchip_rot(&chip, 5, 3);
    CHECK_EQUAL(cells[5], 0xf7);
    CHECK_EQUAL(io.read(io.ctx, 4, back, 4), OTA_OK);
    norchip_rot(&chip, SECTOR + 5, 3);
    CHECK_EQUAL(io.read(io.ctx, SECTOR, back, 8), OTA_E_FLASH);
    CHECK_EQUAL(io.read(io.ctx, SECTOR + 8, back, 8), OTA_OK);
    CHECK_EQUAL(chip.nor.operations, 0);
}

static void test_unreadable_range_fails_to_read(void) {
    blank();
    chip.nor.unreadable = (struct nor_range){SECTOR, SECTOR};
    CHECK_EQUAL(io.read(io.ctx, SECTOR - 16, back, 32), OTA_E_FLASH);
    CHECK_EQUAL(io.read(io.ctx, SECTOR - 16, back, 16), OTA_OK);
}

int main(void) {
    RUN(test_erase_sets_and_program_clears);
    RUN(test_strict_chip_refuses_to_set_a_cleared_bit);
    RUN(test_what_is_unaligned_or_out_of_range_is_a_misuse);
    RUN(test_program_is_cut_into_the_driver_s_commands);
    RUN(test_wear_is_counted_for_each_sector);
    RUN(test_block_is_erased_by_one_operation);
    RUN(test_after_a_cut_nothing_works_until_power_is_back);
    RUN(test_cut_program_leaves_nothing_a_prefix_a_subset_or_all);
    RUN(test_marginal_cells_read_differently_until_programmed_or_erased);
    RUN(test_the_same_seed_leaves_the_same_cells);
    RUN(test_cut_erase_has_its_shapes);
    RUN(test_sector_that_reads_erased_may_not_be);
    RUN(test_guarded_unit_is_programmed_once_and_as_a_whole);
    RUN(test_guarded_unit_that_was_cut_raises_when_read);
    RUN(test_guarded_unit_that_reads_blank_may_refuse);
    RUN(test_cut_erase_leaves_guarded_units_unreadable);
    RUN(test_outside_the_guarded_range_bits_may_be_cleared_one_by_one);
    RUN(test_program_that_fails_stops_half_way_and_says_so);
    RUN(test_bad_sector_neither_erases_nor_programs);
    RUN(test_stuck_sector_reports_success);
    RUN(test_worn_sector_no_longer_erases);
    RUN(test_rot_flips_one_bit_and_breaks_a_guarded_unit);
    RUN(test_unreadable_range_fails_to_read);
    return 0;
}
