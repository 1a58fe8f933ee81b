// RSA signature verification (RFC 8017): PKCS#1 v1.5 and PSS, both with SHA-256, 2048 or 3072 bits.
// SPDX-License-Identifier: MIT
#ifndef OTA_RSA_H
#define OTA_RSA_H

#include "ota.h"

#define OTA_RSA_MAX_BYTES 384u

// A public key as PKCS#1 RSAPublicKey DER (RFC 8017 A.1.1), the bytes whose SHA-256 is MCUboot's KEYHASH.
struct ota_key {
    const uint8_t *der;
    uint32_t size;
};

// Bits of the numbers the arithmetic is made of: 16 where a multiplication gives 32 bits (LX106, Cortex-M0),
// 32 where it gives 64 (Cortex-M4, ARMv5 umull, a PC).
#ifndef OTA_RSA_LIMB_BITS
#if defined(__XTENSA__) || defined(__ARM_ARCH_6M__)
#define OTA_RSA_LIMB_BITS 16
#else
#define OTA_RSA_LIMB_BITS 32
#endif
#endif

#if OTA_RSA_LIMB_BITS == 16
typedef uint16_t ota_rsa_limb_t;
#else
typedef uint32_t ota_rsa_limb_t;
#endif

#define OTA_RSA_MAX_LIMBS (OTA_RSA_MAX_BYTES * 8u / OTA_RSA_LIMB_BITS)

// Working memory of one verification, under 2 KiB; contents need not be kept between calls.
// Numbers stand with their lowest limb first.
typedef struct {
    uint32_t limbs;    // in the modulus
    uint32_t exponent;
    ota_rsa_limb_t inverse; // -1 / modulus modulo 2^OTA_RSA_LIMB_BITS
    ota_rsa_limb_t modulus[OTA_RSA_MAX_LIMBS];
    ota_rsa_limb_t base[OTA_RSA_MAX_LIMBS];
    ota_rsa_limb_t power[OTA_RSA_MAX_LIMBS];
    ota_rsa_limb_t product[2 * OTA_RSA_MAX_LIMBS];
} ota_rsa_work_t;

enum ota_rsa_padding {
    OTA_RSA_PKCS1 = 1, // RSASSA-PKCS1-v1_5 (RFC 8017 8.2)
    OTA_RSA_PSS = 2,   // RSASSA-PSS, MGF1 with SHA-256, 32 bytes of salt (RFC 8017 8.1)
};

// Is `sig` (n bytes, big-endian) a signature by `key` over the message whose SHA-256 is `hash`?
// `io` may be NULL; io->feed is called once per multiplication.
// Returns OTA_OK, OTA_E_SIGNATURE (also when n is not the key's size) or OTA_E_KEY_FORMAT.
int ota_rsa_verify(ota_rsa_work_t *w, const struct ota_io *io, const struct ota_key *key,
    enum ota_rsa_padding padding, const uint8_t hash[32], const uint8_t *sig, uint32_t n) OTA_MUST_CHECK;

#endif
