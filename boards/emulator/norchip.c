// A flash chip in memory behind the core's flash contract (norchip.h).
// SPDX-License-Identifier: MIT
#include "norchip.h"

#define WRITE_UNIT 16u

static int store_read(void *ctx, uint32_t offset, void *buf, uint32_t n) {
    memcpy(buf, (uint8_t *)ctx + offset, n);
    return 0;
}

static int store_write(void *ctx, uint32_t offset, const void *buf, uint32_t n) {
    memcpy((uint8_t *)ctx + offset, buf, n);
    return 0;
}

static struct nor_store store_of(const struct norchip *chip) {
    struct nor_store store = {chip->cells, store_read, store_write};
    return store;
}

static bool misused(struct norchip *chip, uint32_t offset, const void *buf, uint32_t n, uint32_t unit) {
    bool bad = offset > chip->nor.size || n > chip->nor.size - offset || offset % unit != 0 || n % unit != 0;
    chip->misuses += bad || (uintptr_t)buf % 4 != 0;
    return bad;
}

static int result(struct norchip *chip, int r) {
    chip->misuses += r == NOR_E_RANGE || r == NOR_E_ALIGN || r == NOR_E_BITS;
    chip->off = chip->off || r == NOR_CUT;
    return r == NOR_OK ? OTA_OK : OTA_E_FLASH;
}

static int flash_read(void *ctx, uint32_t offset, void *buf, uint32_t n) {
    struct norchip *chip = ctx;
    if (chip->off || misused(chip, offset, buf, n, 4)) {
        return OTA_E_FLASH;
    }
    chip->reads++;
    struct nor_store store = store_of(chip);
    return result(chip, nor_read(&chip->nor, &store, offset, buf, n));
}

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

static bool is_guarded(const struct norchip *chip, uint32_t offset) {
    for (uint32_t i = 0; i < NOR_GUARDED_RANGES && chip->nor.geometry.guarded_unit > 0; i++) {
        if (offset - chip->nor.geometry.guarded[i].offset < chip->nor.geometry.guarded[i].bytes) {
            return true;
        }
    }
    return false;
}

// One command. What is missing of a last guarded unit is filled with ones, as its driver does.
static int program(struct norchip *chip, uint32_t offset, const uint8_t *in, uint32_t n) {
    uint8_t filled[NOR_PAGE_BYTES];
    const uint32_t unit = chip->nor.geometry.guarded_unit;
    if (is_guarded(chip, offset) && n % unit != 0) {
        memset(filled, 0xff, sizeof(filled));
        memcpy(filled, in, n);
        in = filled;
        n += unit - n % unit;
    }
    if (chip->watch != NULL) {
        chip->watch(chip, offset, in, n);
    }
    struct nor_store store = store_of(chip);
    return result(chip, nor_program(&chip->nor, &store, offset, in, n));
}

static int flash_write(void *ctx, uint32_t offset, const void *buf, uint32_t n) {
    struct norchip *chip = ctx;
    const uint8_t *in = buf;
    const uint32_t command = chip->command != 0 ? chip->command : NOR_PAGE_BYTES;
    if (chip->off || misused(chip, offset, buf, n, WRITE_UNIT)) {
        return OTA_E_FLASH;
    }
    chip->writes++;
    while (n > 0) {
        uint32_t part = least(least(command, NOR_PAGE_BYTES - offset % NOR_PAGE_BYTES), n);
        int r = program(chip, offset, in, part);
        if (r != OTA_OK) {
            return r;
        }
        offset += part;
        in += part;
        n -= part;
    }
    return OTA_OK;
}

static int flash_erase(void *ctx, uint32_t offset, uint32_t n) {
    struct norchip *chip = ctx;
    if (chip->off || misused(chip, offset, NULL, n, chip->nor.geometry.sector)) {
        return OTA_E_FLASH;
    }
    chip->erases++;
    for (const uint32_t end = offset + n; offset < end;) {
        const uint32_t block = chip->nor.geometry.block;
        const uint32_t part = block > 0 && offset % block == 0 && end - offset >= block ? block : chip->nor.geometry.sector;
        if (chip->watch != NULL) {
            chip->watch(chip, offset, NULL, part);
        }
        struct nor_store store = store_of(chip);
        int r = result(chip, nor_erase(&chip->nor, &store, offset, part));
        if (r != OTA_OK) {
            return r;
        }
        offset += part;
    }
    return OTA_OK;
}

static void feed(void *ctx) {
    struct norchip *chip = ctx;
    chip->feeds++;
}

void norchip_init(struct norchip *chip, uint8_t *cells, uint32_t size, uint32_t sector) {
    memset(chip, 0, sizeof(*chip));
    chip->cells = cells;
    chip->nor.size = size;
    chip->nor.strict = 1;
    chip->nor.geometry.sector = sector;
}

void norchip_io(struct norchip *chip, struct ota_io *io) {
    const struct ota_io made = {
        .ctx = chip, .size = chip->nor.size, .sector = chip->nor.geometry.sector,
        .read = flash_read, .write = flash_write, .erase = flash_erase, .feed = feed,
    };
    *io = made;
}

void norchip_rot(struct norchip *chip, uint32_t offset, uint32_t bit) {
    struct nor_store store = store_of(chip);
    chip->misuses += nor_rot(&chip->nor, &store, offset, bit) != NOR_OK;
}
