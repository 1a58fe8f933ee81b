// Decodes the file `patch` over the file `old` to the file `new`, sector by sector, on a bare machine. The file `counts` gets four
// little-endian words of results, then for each sector its instructions and its reads of the old image.
// SPDX-License-Identifier: MIT
#include "bare.h"
#include "patch.h"

#define SECTOR 4096u
#define STATE 16384u

static uint32_t state[STATE / 4];
static uint8_t out[SECTOR];
static uint32_t counts[4 + 2 * 512];

struct old_image {
    const uint8_t *bytes;
    uint32_t reads;
};

static int read_old(void *ctx, uint32_t offset, void *buf, uint32_t n) {
    struct old_image *old = ctx;
    memcpy(buf, old->bytes + offset, n);
    old->reads++;
    return 0;
}

static uint32_t load(const char *path, uint8_t *to) {
    int fd = bare_open(path, BARE_READ);
    uint32_t n = 0;
    for (int r; (r = bare_read(fd, to + n, 65536)) > 0;) {
        n += (uint32_t)r;
    }
    return n;
}

static struct old_image old;
static struct ota_patch_span x;
static uint32_t sectors;

static void sector_done(int fd, uint32_t ticks, uint32_t reads) {
    uint32_t n = SECTOR - x.out_n;
    counts[4 + 2 * sectors] = ticks * bare_instructions_per_tick;
    counts[5 + 2 * sectors++] = reads;
    bare_write(fd, out, n);
    x.out = out;
    x.out_n = SECTOR;
}

static int decode(int fd) {
    struct ota_patch_io io = {&old, read_old};
    int r = ota_patch_init(state, STATE);
    while (r >= 0) {
        uint32_t start = bare_ticks(), reads = old.reads;
        do {
            r = x.in_n ? ota_patch_push(state, &io, &x) : ota_patch_finish(state, &io, &x);
        } while (r == OTA_PATCH_BASE || r == OTA_PATCH_MORE);
        if (x.out_n < SECTOR) {
            sector_done(fd, bare_ticks() - start, old.reads - reads);
        }
        if (r == OTA_OK) {
            return r;
        }
    }
    return r;
}

int main(void) {
    uint8_t *patch = bare_memory + 0x180000;
    old.bytes = bare_memory;
    load("old", bare_memory);
    x.in = patch;
    x.in_n = load("patch", patch);
    x.out = out;
    x.out_n = SECTOR;
    int fd = bare_open("new", BARE_WRITE);
    counts[0] = (uint32_t)decode(fd);
    counts[1] = ota_patch_done(state);
    counts[2] = old.reads;
    counts[3] = sectors;
    bare_write(bare_open("counts", BARE_WRITE), counts, 16 + 8 * sectors);
    return counts[0] != OTA_OK;
}
