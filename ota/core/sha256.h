// SHA-256 (FIPS 180-4).
// SPDX-License-Identifier: MIT
#ifndef OTA_SHA256_H
#define OTA_SHA256_H

#include "ota.h"

typedef struct {
    uint32_t h[8];
    uint32_t length; // bytes pushed so far; an input is at most 2^32 - 1 bytes
    uint8_t block[64];
} ota_sha256_t;

void ota_sha256_init(ota_sha256_t *s);
void ota_sha256_push(ota_sha256_t *s, const void *in, uint32_t n);
void ota_sha256_finish(ota_sha256_t *s, uint8_t digest[32]);

#endif
