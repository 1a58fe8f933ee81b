// What valgrind's callgrind counts on this computer: `host rsa` verifies once, `host sha` hashes 64 KiB.
// SPDX-License-Identifier: MIT
#include "bench_vectors.h"
#include "rsa.h"
#include "sha256.h"

static ota_rsa_work_t work;
static ota_sha256_t sha;
static uint8_t data[65536], digest[32];

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "rsa") == 0) {
        const struct ota_key key = {bench_key, sizeof(bench_key)};
        return ota_rsa_verify(&work, NULL, &key, OTA_RSA_PSS, bench_hash, bench_pss, sizeof(bench_pss)) != OTA_OK;
    }
    ota_sha256_init(&sha);
    ota_sha256_push(&sha, data, sizeof(data));
    ota_sha256_finish(&sha, digest);
    return 0;
}
