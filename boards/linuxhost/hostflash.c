// The linuxhost board's flash chip: a mapped file behind the NOR model.
// SPDX-License-Identifier: MIT
#include "hostflash.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nor.h"

static uint8_t *cells;
static nor_t chip;

static int store_read(void *ctx, uint32_t offset, void *buf, uint32_t n) {
    memcpy(buf, cells + offset, n);
    return 0;
}

static int store_write(void *ctx, uint32_t offset, const void *buf, uint32_t n) {
    memcpy(cells + offset, buf, n);
    return 0;
}

static const struct nor_store store = { NULL, store_read, store_write };

static int result(int r) {
    return r == NOR_OK ? OTA_OK : OTA_E_FLASH;
}

static int flash_read(void *ctx, uint32_t offset, void *buf, uint32_t n) {
    return result(nor_read(&chip, &store, offset, buf, n));
}

static int flash_write(void *ctx, uint32_t offset, const void *buf, uint32_t n) {
    const uint8_t *p = buf;
    while (n > 0) {
        uint32_t part = NOR_PAGE_BYTES - offset % NOR_PAGE_BYTES;
        part = part < n ? part : n;
        int r = result(nor_program(&chip, &store, offset, p, part));
        if (r < 0) {
            return r;
        }
        offset += part;
        p += part;
        n -= part;
    }
    return OTA_OK;
}

static int flash_erase(void *ctx, uint32_t offset, uint32_t n) {
    return result(nor_erase(&chip, &store, offset, n));
}

const char *hostflash_open(struct ota_io *io, const char *path, uint32_t size, uint32_t sector) {
    struct stat st;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return "flash file cannot be opened";
    }
    if (fstat(fd, &st) < 0 || st.st_size != (off_t)size) {
        close(fd);
        return "flash file is not of the chip's size";
    }
    cells = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (cells == MAP_FAILED) {
        return "flash file cannot be mapped";
    }
    chip.size = size;
    chip.strict = 1;
    *io = (struct ota_io) { .size = size, .sector = sector, .read = flash_read, .write = flash_write, .erase = flash_erase };
    return NULL;
}
