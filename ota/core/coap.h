// CoAP messages as bytes (RFC 7252 section 3): one is read, one is written. The reader believes no length.
// SPDX-License-Identifier: MIT
#ifndef OTA_COAP_H
#define OTA_COAP_H

#include "ota.h"

// What a datagram says. Offsets point into it; an option that is not there is -1.
typedef struct {
    uint8_t kind; // confirmable 0, not 1, acknowledgement 2, reset 3
    uint8_t code;
    uint8_t token_size; // the token stands behind the 4 bytes of the header
    uint8_t etag_size; // 0: no entity tag
    uint16_t mid;
    uint16_t etag;
    uint16_t payload; // as far as the datagram's end
    int32_t observe; // RFC 7641
    int32_t block2; // RFC 7959: number << 4 | more << 3 | size exponent
    int64_t size2;
} ota_coap_t;

// Reads type, code, message id and token. False if the datagram is no CoAP message, or has 64 KiB and more.
OTA_MUST_CHECK bool ota_coap_header(ota_coap_t *m, const uint8_t *buf, uint32_t n);

// Reads options and payload of the datagram whose header was read. False if they are malformed, or if one of them must be understood
// and is not (odd numbers, section 5.4.1).
OTA_MUST_CHECK bool ota_coap_options(ota_coap_t *m, const uint8_t *buf, uint32_t n);

// A message on its way into a buffer of `size` bytes. `n` counts what does not fit, too: with size 0 it says how long it will be.
struct ota_coap_writer {
    uint8_t *buf;
    uint32_t size, n, number;
};

// Header and token; at most 8 bytes of it.
void ota_coap_begin(struct ota_coap_writer *w, uint8_t kind, uint8_t code, uint16_t mid, const uint8_t *token, uint32_t token_size);

// An option of at most 65,535 bytes. False if it is longer, or its number below the last one's.
OTA_MUST_CHECK bool ota_coap_option(struct ota_coap_writer *w, uint32_t number, const uint8_t *value, uint32_t size);

// An option that is a number, without its leading zeros.
OTA_MUST_CHECK bool ota_coap_uint(struct ota_coap_writer *w, uint32_t number, uint32_t value);

// Comes last; an empty one is none.
void ota_coap_payload(struct ota_coap_writer *w, const uint8_t *data, uint32_t n);

#endif
