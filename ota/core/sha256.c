// SHA-256 (FIPS 180-4). The rounds are unrolled by eight so that no register is moved (DESIGN.md, "Budgets").
// SPDX-License-Identifier: MIT
#include "sha256.h"

static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t ror(uint32_t v, unsigned n) {
    return v >> n | v << (32 - n);
}

static void expand(uint32_t w[64], const uint8_t *in) {
    for (uint32_t i = 0; i < 16; i++, in += 4) {
        w[i] = (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
    }
    for (const uint32_t *end = w + 48; w < end; w++) {
        uint32_t a = w[1], b = w[14];
        w[16] = w[0] + w[9] + (ror(a, 7) ^ ror(a, 18) ^ a >> 3) + (ror(b, 17) ^ ror(b, 19) ^ b >> 10);
    }
}

#define ROUND(a, b, c, d, e, f, g, h, i) do { \
        h += (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) + (g ^ (e & (f ^ g))) + k[i] + w[i]; \
        d += h; \
        h += (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + ((a & b) | (c & (a | b))); \
} while (0)

static void compress(uint32_t state[8], const uint8_t *in) {
    uint32_t words[64];
    expand(words, in);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    const uint32_t *k = constants;
    for (const uint32_t *w = words; w < words + 64; w += 8, k += 8) {
        ROUND(a, b, c, d, e, f, g, h, 0);
        ROUND(h, a, b, c, d, e, f, g, 1);
        ROUND(g, h, a, b, c, d, e, f, 2);
        ROUND(f, g, h, a, b, c, d, e, 3);
        ROUND(e, f, g, h, a, b, c, d, 4);
        ROUND(d, e, f, g, h, a, b, c, 5);
        ROUND(c, d, e, f, g, h, a, b, 6);
        ROUND(b, c, d, e, f, g, h, a, 7);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

void ota_sha256_init(ota_sha256_t *s) {
    static const uint32_t start[8] = {
        0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
    };
    memcpy(s->h, start, sizeof(s->h));
    s->length = 0;
}

void ota_sha256_push(ota_sha256_t *s, const void *in, uint32_t n) {
    const uint8_t *p = in;
    while (n > 0) {
        uint32_t fill = s->length & 63;
        uint32_t take = n < 64 - fill ? n : 64 - fill;
        const uint8_t *block = p;
        if (take < 64) {
            memcpy(s->block + fill, p, take);
            block = s->block;
        }
        if (fill + take == 64) {
            compress(s->h, block);
        }
        s->length += take;
        p += take;
        n -= take;
    }
}

static void put_be32(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

void ota_sha256_finish(ota_sha256_t *s, uint8_t digest[32]) {
    uint32_t bytes = s->length, fill = bytes & 63;
    s->block[fill++] = 0x80;
    if (fill > 56) {
        memset(s->block + fill, 0, 64 - fill);
        compress(s->h, s->block);
        fill = 0;
    }
    memset(s->block + fill, 0, 56 - fill);
    put_be32(s->block + 56, bytes >> 29);
    put_be32(s->block + 60, bytes << 3);
    compress(s->h, s->block);
    for (uint32_t i = 0; i < 8; i++) {
        put_be32(digest + 4 * i, s->h[i]);
    }
}
