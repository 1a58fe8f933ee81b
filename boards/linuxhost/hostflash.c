// The linuxhost board's flash chip: a mapped file behind the flash model.
// SPDX-License-Identifier: MIT
#include "hostflash.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "norchip.h"

static struct norchip chip;

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
    void *cells = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (cells == MAP_FAILED) {
        return "flash file cannot be mapped";
    }
    norchip_init(&chip, cells, size, sector);
    norchip_io(&chip, io);
    return NULL;
}
