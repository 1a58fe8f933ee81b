// MD5 (RFC 1321). One loop for all 64 steps: small, and fast enough for an artifact.
// SPDX-License-Identifier: MIT
#include "md5.h"

static const uint32_t sines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

static const uint8_t turns[16] = { 7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21 };

static uint32_t mix(uint32_t round, uint32_t b, uint32_t c, uint32_t d) {
    switch (round) {
        case 0:
            return d ^ (b & (c ^ d));
        case 1:
            return c ^ (d & (b ^ c));
        case 2:
            return b ^ c ^ d;
        default:
            return c ^ (b | ~d);
    }
}

static void compress(uint32_t h[4], const uint8_t *in) {
    static const uint8_t step[4] = { 1, 5, 3, 7 }, start[4] = { 0, 1, 5, 0 };
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3];
    for (uint32_t i = 0; i < 64; i++) {
        uint32_t round = i >> 4;
        uint32_t word = (i * step[round] + start[round]) & 15;
        uint32_t v = a + mix(round, b, c, d) + sines[i] + ota_get_le32(in + 4 * word);
        uint32_t turn = turns[round << 2 | (i & 3)];
        a = d;
        d = c;
        c = b;
        b += v << turn | v >> (32 - turn);
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
}

void ota_md5_init(ota_md5_t *s) {
    static const uint32_t start[4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };
    memcpy(s->h, start, sizeof(s->h));
    s->length = 0;
}

void ota_md5_push(ota_md5_t *s, const void *in, uint32_t n) {
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

void ota_md5_finish(ota_md5_t *s, uint8_t digest[16]) {
    uint32_t bytes = s->length, fill = bytes & 63;
    s->block[fill++] = 0x80;
    if (fill > 56) {
        memset(s->block + fill, 0, 64 - fill);
        compress(s->h, s->block);
        fill = 0;
    }
    memset(s->block + fill, 0, 56 - fill);
    ota_put_le32(s->block + 56, bytes << 3);
    ota_put_le32(s->block + 60, bytes >> 29);
    compress(s->h, s->block);
    for (uint32_t i = 0; i < 4; i++) {
        ota_put_le32(digest + 4 * i, s->h[i]);
    }
}
