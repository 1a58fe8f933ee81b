// MCUboot images: header, payload, TLVs (SPEC.md, "Image"). Read as a stream, verified at its end.
// SPDX-License-Identifier: MIT
#ifndef OTA_IMAGE_H
#define OTA_IMAGE_H

#include "ota.h"
#include "rsa.h"
#include "sha256.h"

#define OTA_IMAGE_HEADER_BYTES 32u
#define OTA_IMAGE_FLAG_NON_BOOTABLE 0x10u // the payload is a patch, not a program

struct ota_version {
    uint8_t major, minor;
    uint16_t revision;
    uint32_t build;
};

// What the image says of itself. Believe it only after ota_image_finish returned OTA_OK.
typedef struct {
    uint32_t flags;
    uint32_t header_size;  // bytes before the payload
    uint32_t payload_size; // bytes
    uint32_t total_size;   // header, payload and both TLV areas, bytes; 0 until it is known
    uint32_t counter;      // security counter
    struct ota_version version;
    uint8_t hash[32];      // SHA-256 over header, payload and protected TLVs
} ota_image_info_t;

// Who may have signed and for which board. Pointers live as long as the call.
struct ota_trust {
    const struct ota_key *keys;
    uint32_t key_count;
    const uint8_t *vendor_id; // 16 bytes, UUID_VID
    const uint8_t *class_id;  // 16 bytes, UUID_CID
    uint32_t min_counter;     // refuse a lower security counter
};

typedef struct {
    ota_image_info_t info;
    ota_sha256_t sha;
    uint32_t limit;    // bytes the image may occupy
    uint32_t position; // bytes consumed
    uint32_t left;     // bytes missing of what is being read
    uint32_t hash_end; // position at which the hashed part ends
    uint32_t area_end; // position at which the current part (payload or TLV area) ends
    int32_t error;     // first failure, kept
    uint32_t seen;     // which TLVs were met, a bit for each
    uint16_t protected_size;
    uint16_t tlv_size; // bytes of the current TLV's value
    uint8_t stage, tlv; // enum of image.c; index of the current TLV
    uint8_t fill;      // bytes in part
    uint8_t part[OTA_IMAGE_HEADER_BYTES]; // header or TLV header being collected
    uint8_t counter[4], vendor_id[16], class_id[16], hash[32], key_hash[32]; // the TLVs' values
    uint8_t sig[OTA_RSA_MAX_BYTES];
} ota_image_t;

// Starts reading an image that may take at most `limit` bytes.
void ota_image_init(ota_image_t *s, uint32_t limit);

// Takes the next n bytes (below 2^31), in any split. Returns how many were consumed (fewer than n only at the image's
// end) or a negative ota_err, at once when a field is wrong.
int32_t ota_image_push(ota_image_t *s, const uint8_t *in, uint32_t n) OTA_MUST_CHECK;

// True once the last byte of the image has been consumed.
bool ota_image_complete(const ota_image_t *s);

// SHA-256 over all of the image, its last TLV included; one pass over the bytes gives this and the image's own hash. False if it is
// not complete.
bool ota_image_digest(const ota_image_t *s, uint8_t digest[32]) OTA_MUST_CHECK;

// Checks, in this order: complete, SHA-256, vendor and class id, security counter, key known, RSA-PSS signature.
// Every one of these TLVs is required. OTA_OK or the first failure. `io` may be NULL (see ota_rsa_verify).
int ota_image_finish(ota_image_t *s, const struct ota_io *io, const struct ota_trust *trust, ota_rsa_work_t *w) OTA_MUST_CHECK;

#endif
