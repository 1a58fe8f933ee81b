// CoAP messages as bytes: coap.h.
// SPDX-License-Identifier: MIT
#include "coap.h"

enum {
    HEAD = 4,
    VERSION = 1,
    TOKEN_MAX = 8,
    MARKER = 0xff,
    ETAG = 4,
    OBSERVE = 6,
    BLOCK2 = 23,
    SIZE2 = 28,
    ETAG_MAX = 8,
    ONE_BYTE = 13, // an option's delta or length from here on stands in one byte more,
    TWO_BYTES = 269, // from here on in two
    LONGEST = 0xffff,
};

bool ota_coap_header(ota_coap_t *m, const uint8_t *buf, uint32_t n) {
    if (n < HEAD || n > LONGEST || buf[0] >> 6 != VERSION) {
        return false;
    }
    m->kind = buf[0] >> 4 & 3;
    m->token_size = buf[0] & 15;
    m->code = buf[1];
    m->mid = (uint16_t)(buf[2] << 8 | buf[3]);
    return m->token_size <= TOKEN_MAX && n - HEAD >= m->token_size;
}

static uint32_t uint_at(const uint8_t *p, uint32_t size) {
    uint32_t value = 0;
    while (size--) {
        value = value << 8 | *p++;
    }
    return value;
}

// The value of an option's delta or length, of which `nibble` was read and more may stand at *at. False if it is malformed.
static bool extended(uint32_t *value, uint32_t nibble, const uint8_t *buf, uint32_t *at, uint32_t n) {
    if (nibble < ONE_BYTE) {
        *value = nibble;
        return true;
    }
    uint32_t size = nibble - (ONE_BYTE - 1);
    if (size > 2 || size > n - *at) {
        return false;
    }
    *value = uint_at(buf + *at, size) + (size == 1 ? ONE_BYTE : TWO_BYTES);
    *at += size;
    return true;
}

// Keeps an option that is known.
static bool take(ota_coap_t *m, uint32_t number, const uint8_t *buf, uint32_t at, uint32_t size) {
    if (number == BLOCK2 && size <= 3 && m->block2 < 0) {
        m->block2 = (int32_t)uint_at(buf + at, size);
        return (m->block2 & 7) < 7;
    }
    if (number == ETAG && size > 0 && size <= ETAG_MAX) {
        m->etag = (uint16_t)at;
        m->etag_size = (uint8_t)size;
    } else if (number == OBSERVE && size <= 3) {
        m->observe = (int32_t)uint_at(buf + at, size);
    } else if (number == SIZE2 && size <= 4) {
        m->size2 = (int64_t)uint_at(buf + at, size);
    } else {
        return (number & 1) == 0;
    }
    return true;
}

bool ota_coap_options(ota_coap_t *m, const uint8_t *buf, uint32_t n) {
    uint32_t at = HEAD + m->token_size, number = 0;
    m->observe = m->block2 = -1;
    m->size2 = -1;
    m->etag = m->etag_size = 0;
    m->payload = (uint16_t)n;
    while (at < n) {
        uint8_t head = buf[at++];
        if (head == MARKER) {
            m->payload = (uint16_t)at;
            return at < n;
        }
        uint32_t delta, size;
        if (!extended(&delta, head >> 4, buf, &at, n) || !extended(&size, head & 15, buf, &at, n) || size > n - at) {
            return false;
        }
        number += delta;
        if (!take(m, number, buf, at, size)) {
            return false;
        }
        at += size;
    }
    return true;
}

static void put(struct ota_coap_writer *w, uint32_t byte) {
    if (w->n < w->size) {
        w->buf[w->n] = (uint8_t)byte;
    }
    w->n++;
}

static void put_bytes(struct ota_coap_writer *w, const uint8_t *p, uint32_t n) {
    while (n--) {
        put(w, *p++);
    }
}

void ota_coap_begin(struct ota_coap_writer *w, uint8_t kind, uint8_t code, uint16_t mid, const uint8_t *token, uint32_t token_size) {
    token_size = token_size < TOKEN_MAX ? token_size : TOKEN_MAX;
    w->n = w->number = 0;
    put(w, VERSION << 6 | (uint32_t)(kind & 3) << 4 | token_size);
    put(w, code);
    put(w, mid >> 8);
    put(w, mid);
    put_bytes(w, token, token_size);
}

static uint32_t nibble(uint32_t value) {
    return value < ONE_BYTE ? value : value < TWO_BYTES ? ONE_BYTE : ONE_BYTE + 1;
}

static void put_extension(struct ota_coap_writer *w, uint32_t value) {
    if (value >= TWO_BYTES) {
        put(w, (value - TWO_BYTES) >> 8);
        put(w, value - TWO_BYTES);
    } else if (value >= ONE_BYTE) {
        put(w, value - ONE_BYTE);
    }
}

bool ota_coap_option(struct ota_coap_writer *w, uint32_t number, const uint8_t *value, uint32_t size) {
    if (number < w->number || number > LONGEST || size > LONGEST) {
        return false;
    }
    uint32_t delta = number - w->number;
    w->number = number;
    put(w, nibble(delta) << 4 | nibble(size));
    put_extension(w, delta);
    put_extension(w, size);
    put_bytes(w, value, size);
    return true;
}

bool ota_coap_uint(struct ota_coap_writer *w, uint32_t number, uint32_t value) {
    uint8_t bytes[4];
    uint32_t size = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
        if (value >> shift) {
            bytes[size++] = (uint8_t)(value >> shift);
        }
    }
    return ota_coap_option(w, number, bytes, size);
}

void ota_coap_payload(struct ota_coap_writer *w, const uint8_t *data, uint32_t n) {
    if (n > 0) {
        put(w, MARKER);
        put_bytes(w, data, n);
    }
}
