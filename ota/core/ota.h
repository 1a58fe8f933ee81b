// What every part of the core shares: error codes, the flash contract, little-endian integers.
// SPDX-License-Identifier: MIT
//
// Conventions of the core. C99; only <stdint.h> <stddef.h> <stdbool.h> <string.h>. The caller owns all
// state and there is nothing to close. State holds no pointers. A fallible function returns an ota_err
// (zero or negative) or a non-negative count; an object that failed stays failed. Every length and offset
// from outside is checked before use.
#ifndef OTA_H
#define OTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define OTA_MUST_CHECK __attribute__((warn_unused_result))

// SPEC.md, "Error codes". Python raises OSError(-code).
enum ota_err {
    OTA_OK = 0,
    OTA_E_MAGIC = -1001,     // does not start as an MCUboot image
    OTA_E_HEADER = -1002,    // header field out of range, or a flag this board cannot honour
    OTA_E_SIZE = -1003,      // larger than the space for it, or cut short
    OTA_E_TLV = -1004,       // TLV area malformed, or a required TLV missing
    OTA_E_HASH = -1005,      // SHA-256 of the image differs from its TLV
    OTA_E_KEY = -1006,       // signed by a key this board does not hold
    OTA_E_SIGNATURE = -1007, // RSA signature wrong
    OTA_E_PRODUCT = -1008,   // vendor or class id is not this board's
    OTA_E_COUNTER = -1009,   // security counter below the confirmed image's
    OTA_E_KEY_FORMAT = -1011, // public key is not a PKCS#1 RSA key of 2048 or 3072 bits
    OTA_E_FLASH = -1060,      // flash refused, or reads back other than what was written
    OTA_E_TRAILER_FULL = -1061, // no place left for a mark
    OTA_E_PATCH_MAGIC = -1070,  // does not start as a patch
    OTA_E_PATCH_HEADER = -1071, // unknown format version, or a header field out of range
    OTA_E_PATCH_STATE = -1072,  // needs more state than the decoder was given
    OTA_E_PATCH_BASE = -1073,   // made for another base image; the core's caller finds it
    OTA_E_PATCH_DATA = -1074,   // the stream says what cannot be
    OTA_E_PATCH_SIZE = -1075,   // cut short, or longer than its result needs
};

// The flash contract. Offsets and sizes in bytes; writes are aligned to
// 16 bytes, erases to `sector`. The core's own buffers are aligned to 4 bytes and it reads multiples of 4, as
// the ESP8266's ROM wants it. Each function returns 0 or a negative ota_err.
struct ota_io {
    void *ctx;
    uint32_t size;   // of the whole flash
    uint32_t sector; // smallest erasable unit
    int (*read)(void *ctx, uint32_t offset, void *buf, uint32_t n);
    int (*write)(void *ctx, uint32_t offset, const void *buf, uint32_t n);
    int (*erase)(void *ctx, uint32_t offset, uint32_t n);
    void (*feed)(void *ctx); // restarts the watchdog; called at least once per 64 KiB hashed and per RSA multiplication
};

static inline uint16_t ota_get_le16(const uint8_t *p) {
    return (uint16_t)((uint32_t)p[0] | (uint32_t)p[1] << 8);
}

static inline uint32_t ota_get_le32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void ota_put_le32(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

#endif
