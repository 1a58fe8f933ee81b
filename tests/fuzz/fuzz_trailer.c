// libFuzzer target for trailers and the decision made from them. Input: flags, then the marks of slot A and of slot B, half each.
// Checks that a decision keeps the chip's rules, starts whole images only, and is the same when it is made again.
// SPDX-License-Identifier: MIT
#include <stdlib.h>

#include "boot.h"
#include "norchip.h"
#include "vectors.h"

#define SECTOR 2048u
#define SLOT (3 * SECTOR)
enum { IMAGE_IN_A = 1, IMAGE_IN_B = 2, SUSPICIOUS = 4, ROTTEN = 8 };

static struct norchip chip;
static struct ota_io io;

static uint32_t least(size_t a, uint32_t b) {
    return a < b ? (uint32_t)a : b;
}

static void fill(uint8_t *cells, uint8_t flags, const uint8_t *marks, size_t n) {
    memset(cells, 0xff, OTA_BOOT_SLOTS * SLOT);
    for (uint32_t slot = 0; slot < OTA_BOOT_SLOTS; slot++) {
        if (flags >> slot & 1) {
            memcpy(cells + slot * SLOT, v_image_counter5, sizeof(v_image_counter5));
        }
        const size_t half = slot == 0 ? n / 2 : n - n / 2;
        memcpy(cells + (slot + 1) * SLOT - SECTOR, marks + (slot == 0 ? 0 : n / 2), least(half, SECTOR));
    }
    cells[100] ^= (flags & ROTTEN) != 0;
}

static struct ota_boot_choice choose(bool suspicious) {
    const struct ota_key key = {v_key, sizeof(v_key)};
    const struct ota_boot_config config = {
        .slots = {{0, SLOT}, {SLOT, SLOT}}, .tries = 3, .suspicious = suspicious,
        .trust = {.keys = &key, .key_count = 1, .vendor_id = v_vendor, .class_id = v_class},
    };
    struct ota_boot_choice choice;
    ota_boot_t *work = malloc(sizeof(*work));
    if (ota_boot_choose(work, &io, &config, &choice) != OTA_OK) {
        abort(); // this flash can be read
    }
    free(work);
    return choice;
}

static void check(const uint8_t *cells, const struct ota_boot_choice *choice, bool suspicious) {
    if (chip.misuses > 0 || choice->how > OTA_BOOT_VERIFIED || choice->slot >= OTA_BOOT_SLOTS) {
        abort();
    }
    const bool must_be_whole = choice->how == OTA_BOOT_TRIAL || choice->how == OTA_BOOT_VERIFIED || suspicious;
    if (choice->how != OTA_BOOT_CONSOLE && must_be_whole &&
        memcmp(cells + choice->slot * SLOT, v_image_counter5, sizeof(v_image_counter5)) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static uint8_t cells[OTA_BOOT_SLOTS * SLOT];
    if (n < 1) {
        return 0;
    }
    const bool suspicious = (data[0] & SUSPICIOUS) != 0;
    fill(cells, data[0], data + 1, n - 1);
    norchip_init(&chip, cells, sizeof(cells), SECTOR);
    norchip_io(&chip, &io);
    struct ota_boot_choice first = choose(suspicious);
    check(cells, &first, suspicious);
    for (uint32_t i = 0; i < 4; i++) { // the trials that are left, and one more
        struct ota_boot_choice next = choose(suspicious);
        check(cells, &next, suspicious);
        // Only a trial that is used up may change what runs; what is chosen after that stays.
        if (first.how != OTA_BOOT_TRIAL && memcmp(&first, &next, sizeof(next)) != 0) {
            abort();
        }
        first = next;
    }
    return 0;
}
