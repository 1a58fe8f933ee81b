// Decodes the cases of the file `cases` on a bare machine. A case is three little-endian words, the sizes of old image and patch and
// how the patch is fed, then both, each filled up to a word. Fed 0: whole, sector by sector; 1: byte by byte; else at random splits
// of input and output, from that seed. The file `new` gets all results one after the other; the file `counts`, for each case, four
// words (result, bytes put out, reads, sectors) and, when it was fed whole, instructions and reads of every sector.
// SPDX-License-Identifier: MIT
#include "bare.h"
#include "patch.h"

#define SECTOR 4096u
#define STATE 16384u
#define RESULTS 0x400000u // where in memory results are made
#define SECTORS 512u

struct test_case {
    uint32_t old_n, patch_n, fed;
};

struct old_image {
    const uint8_t *bytes;
    uint32_t reads;         // of it, and of the new image's sectors that a board would have written
    const uint8_t *written; // where those end
};

static uint32_t state[STATE / 4];
static uint32_t counts[4 + 2 * SECTORS];
static struct old_image old;
static struct ota_patch_span x;
static const uint8_t *input;
static uint32_t left, seed, sectors;

static int read_old(void *ctx, uint32_t offset, void *buf, uint32_t n) {
    struct old_image *image = ctx;
    memcpy(buf, image->bytes + offset, n);
    image->reads++;
    return 0;
}

static int read_new(void *ctx, uint32_t offset, void *buf, uint32_t n) {
    struct old_image *image = ctx;
    memcpy(buf, bare_memory + RESULTS + offset, n);
    image->reads += bare_memory + RESULTS + offset < image->written;
    return 0;
}

// 1 to n, a power of two: the LX106 has no division.
static uint32_t at_random(uint32_t n) {
    seed = seed * 1664525u + 1013904223u;
    return 1 + (seed >> 16 & (n - 1));
}

// The next piece of the patch, if there is one.
static void give_input(uint32_t fed) {
    uint32_t n = fed == 0 ? left : fed == 1 ? 1 : at_random(32);
    n = n < left ? n : left;
    x.in = input;
    x.in_n = n;
    input += n;
    left -= n;
}

static int until_full_or_done(const struct test_case *c) {
    const struct ota_patch_io io = {&old, read_old, read_new};
    int r;
    do {
        if (!x.in_n) {
            give_input(c->fed);
        }
        r = x.in_n ? ota_patch_push(state, &io, &x) : ota_patch_finish(state, &io, &x);
        if (r == OTA_PATCH_BASE && ota_patch_get_info(state)->old_size != c->old_n) {
            return OTA_E_PATCH_BASE;
        }
    } while (r == OTA_PATCH_BASE || r == OTA_PATCH_MORE);
    return r;
}

static int decode(const struct test_case *c) {
    int r = ota_patch_init(state, STATE);
    while (r >= 0) {
        uint32_t start = bare_ticks(), reads = old.reads, room = c->fed > 1 ? at_random(64) : SECTOR;
        x.out_n = room;
        old.written = x.out;
        r = until_full_or_done(c);
        if (x.out_n < room && c->fed == 0) {
            counts[4 + 2 * sectors] = (bare_ticks() - start) * bare_instructions_per_tick;
            counts[5 + 2 * sectors++] = old.reads - reads;
        }
        if (r == OTA_OK) {
            break;
        }
    }
    return r;
}

static void run(const struct test_case *c, int new_fd, int counts_fd) {
    old = (struct old_image){.bytes = (const uint8_t *)(c + 1)};
    input = old.bytes + (c->old_n + 3) / 4 * 4;
    left = c->patch_n;
    seed = c->fed;
    sectors = 0;
    x = (struct ota_patch_span){.out = bare_memory + RESULTS};
    counts[0] = (uint32_t)decode(c);
    counts[1] = (uint32_t)(x.out - (bare_memory + RESULTS));
    counts[2] = old.reads;
    counts[3] = sectors;
    bare_write(new_fd, bare_memory + RESULTS, counts[1]);
    bare_write(counts_fd, counts, 16 + 8 * sectors);
}

int main(void) {
    uint8_t *end = bare_memory;
    int fd = bare_open("cases", BARE_READ), new_fd = bare_open("new", BARE_WRITE), counts_fd = bare_open("counts", BARE_WRITE);
    for (int n; (n = bare_read(fd, end, 65536)) > 0;) {
        end += n;
    }
    for (uint8_t *at = bare_memory; at < end;) {
        const struct test_case *c = (const struct test_case *)(const void *)at;
        run(c, new_fd, counts_fd);
        at += sizeof *c + (c->old_n + 3) / 4 * 4 + (c->patch_n + 3) / 4 * 4;
    }
    return 0;
}
