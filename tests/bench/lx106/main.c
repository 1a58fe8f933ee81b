// Prints what one RSA verification, hashing 64 KiB and one cold boot take on the LX106, in ticks of CCOUNT, and a
// measure for them: the ticks of 40 million instructions. tests/bench/core.py turns them into instructions.
// SPDX-License-Identifier: MIT
#include "bench_vectors.h"
#include "boot.h"

#define SLOT_BYTES 0x20000u
#define SECTOR_BYTES 4096u
#define HASHED_BYTES 65536u

void write_out(const char *buf, uint32_t n);
uint32_t cycles(void);
void spin(uint32_t n);
int main(void);

static uint8_t flash[2 * SLOT_BYTES];
static ota_boot_t boot;
static ota_sha256_t sha;

static void print(const char *name, uint32_t value) {
    char line[12] = "          \n";
    for (uint32_t i = 0; i < 8; i++) {
        line[9 - i] = "0123456789abcdef"[value >> (4 * i) & 15];
    }
    write_out(name, 8);
    write_out(line, 11);
}

static int flash_read(void *ctx, uint32_t offset, void *buf, uint32_t n) {
    (void)ctx;
    memcpy(buf, flash + offset, n);
    return 0;
}

static int flash_write(void *ctx, uint32_t offset, const void *buf, uint32_t n) {
    (void)ctx;
    memcpy(flash + offset, buf, n);
    return 0;
}

static const struct ota_key keys[] = {{bench_key, sizeof(bench_key)}, {bench_key3072, sizeof(bench_key3072)}};
static const struct ota_io io = {.size = sizeof(flash), .sector = SECTOR_BYTES, .read = flash_read, .write = flash_write};
static const struct ota_boot_config config = {
    .slots = {{0, SLOT_BYTES}, {SLOT_BYTES, SLOT_BYTES}},
    .trust = {.keys = keys, .key_count = 1, .vendor_id = bench_vendor, .class_id = bench_class},
};

static int measure_rsa(void) {
    uint32_t t = cycles();
    int r = ota_rsa_verify(&boot.rsa, NULL, &keys[0], OTA_RSA_PSS, bench_hash, bench_pss, sizeof(bench_pss));
    print("rsa-pss ", cycles() - t);
    t = cycles();
    r |= ota_rsa_verify(&boot.rsa, NULL, &keys[0], OTA_RSA_PKCS1, bench_hash, bench_pkcs1, sizeof(bench_pkcs1));
    print("rsa-pkcs", cycles() - t);
    t = cycles();
    r |= ota_rsa_verify(&boot.rsa, NULL, &keys[1], OTA_RSA_PSS, bench_hash, bench_pss3072, sizeof(bench_pss3072));
    print("rsa-3072", cycles() - t);
    return r;
}

static void measure_sha256(void) {
    uint8_t digest[32];
    ota_sha256_init(&sha);
    uint32_t t = cycles();
    ota_sha256_push(&sha, flash, HASHED_BYTES);
    print("sha-64k ", cycles() - t);
    ota_sha256_finish(&sha, digest);
}

// A slot of 127 KiB of image with all marks of a fetch: the first start is a trial, the second cold and confirmed.
static int measure_boot(void) {
    struct ota_boot_choice choice;
    memcpy(flash, bench_image, sizeof(bench_image));
    memset(flash + SLOT_BYTES - SECTOR_BYTES, 0xff, SECTOR_BYTES);
    memset(flash + 2 * SLOT_BYTES - SECTOR_BYTES, 0xff, SECTOR_BYTES);
    memcpy(flash + SLOT_BYTES - SECTOR_BYTES, bench_marks, sizeof(bench_marks));
    uint32_t t = cycles();
    int r = ota_boot_choose(&boot, &io, &config, &choice) || choice.how != OTA_BOOT_TRIAL;
    print("trial   ", cycles() - t);
    const struct ota_mark confirmed = {.kind = OTA_MARK_CONFIRMED};
    r |= ota_trailer_append(&boot.trailer[0], &io, SLOT_BYTES, &confirmed, 2);
    t = cycles();
    r |= ota_boot_choose(&boot, &io, &config, &choice) || choice.how != OTA_BOOT_CONFIRMED;
    print("cold    ", cycles() - t);
    return r;
}

int main(void) {
    uint32_t t = cycles();
    spin(10000000);
    print("measure ", cycles() - t);
    int r = measure_rsa();
    measure_sha256();
    r |= measure_boot();
    return r != 0;
}
