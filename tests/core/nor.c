// A strict NOR flash in memory.
// SPDX-License-Identifier: MIT
#include "nor.h"

#define WRITE_UNIT 16u

void nor_init(struct nor *nor, uint8_t *bytes, uint32_t size, uint32_t sector) {
    memset(nor, 0, sizeof(*nor));
    nor->bytes = bytes;
    nor->size = size;
    nor->sector = sector;
    nor->seed = 1;
}

static bool meets(const struct nor_range *r, uint32_t offset, uint32_t n) {
    return r->size > 0 && offset < r->offset + r->size && r->offset < offset + n;
}

static bool misused(struct nor *nor, uint32_t offset, uint32_t n, uint32_t unit) {
    bool bad = offset > nor->size || n > nor->size - offset || offset % unit != 0 || n % unit != 0;
    nor->misuses += bad;
    return bad;
}

static int nor_read(void *ctx, uint32_t offset, void *buf, uint32_t n) {
    struct nor *nor = ctx;
    if (nor->off || misused(nor, offset, n, 4)) {
        return OTA_E_FLASH;
    }
    nor->misuses += (uintptr_t)buf % 4 != 0;
    nor->reads++;
    if (meets(&nor->unreadable, offset, n)) {
        return OTA_E_FLASH;
    }
    memcpy(buf, nor->bytes + offset, n);
    return OTA_OK;
}

// Power fails: any subset of the bits may have been programmed.
static void tear(struct nor *nor, uint32_t offset, const uint8_t *from, uint32_t n) {
    uint32_t x = nor->seed * 2654435761u | 1;
    for (uint32_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        nor->bytes[offset + i] &= (uint8_t)(from[i] | x >> 24);
    }
    nor->off = true;
}

static int nor_write(void *ctx, uint32_t offset, const void *buf, uint32_t n) {
    struct nor *nor = ctx;
    const uint8_t *from = buf;
    if (nor->off || misused(nor, offset, n, WRITE_UNIT)) {
        return OTA_E_FLASH;
    }
    nor->misuses += (uintptr_t)buf % 4 != 0;
    for (uint32_t i = 0; i < n; i++) {
        nor->misuses += (from[i] & ~nor->bytes[offset + i]) != 0;
    }
    nor->writes++;
    if (nor->writes == nor->cut_at) {
        tear(nor, offset, from, n);
        return OTA_E_FLASH;
    }
    if (meets(&nor->unwritable, offset, n)) {
        return OTA_E_FLASH;
    }
    for (uint32_t i = 0; i < n && !meets(&nor->stuck, offset, n); i++) {
        nor->bytes[offset + i] &= from[i];
    }
    return OTA_OK;
}

static int nor_erase(void *ctx, uint32_t offset, uint32_t n) {
    struct nor *nor = ctx;
    if (nor->off || misused(nor, offset, n, nor->sector)) {
        return OTA_E_FLASH;
    }
    nor->erases++;
    memset(nor->bytes + offset, 0xff, n);
    return OTA_OK;
}

static void nor_feed(void *ctx) {
    struct nor *nor = ctx;
    nor->feeds++;
}

void nor_io(struct nor *nor, struct ota_io *io) {
    io->ctx = nor;
    io->size = nor->size;
    io->sector = nor->sector;
    io->read = nor_read;
    io->write = nor_write;
    io->erase = nor_erase;
    io->feed = nor_feed;
}
