// MD5 (RFC 1321). Only for what the protocol fixes: Linkkit's signature over CoAP, and digests that are signed besides.
// SPDX-License-Identifier: MIT
#ifndef OTA_MD5_H
#define OTA_MD5_H

#include "ota.h"

typedef struct {
    uint32_t h[4];
    uint32_t length; // bytes pushed so far; an input is at most 2^32 - 1 bytes
    uint8_t block[64];
} ota_md5_t;

void ota_md5_init(ota_md5_t *s);
void ota_md5_push(ota_md5_t *s, const void *in, uint32_t n);
void ota_md5_finish(ota_md5_t *s, uint8_t digest[16]);

#endif
