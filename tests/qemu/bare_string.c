// The four functions of <string.h> that the core uses.
// SPDX-License-Identifier: MIT
#include <stdint.h>
#include <string.h>

void *memcpy(void *to, const void *from, size_t n) {
    uint8_t *t = to;
    const uint8_t *f = from;
    for (; n >= 4 && !(((uintptr_t)t | (uintptr_t)f) & 3); n -= 4, t += 4, f += 4) {
        *(uint32_t *)t = *(const uint32_t *)f;
    }
    for (; n; n--) {
        *t++ = *f++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t n) {
    uint8_t *t = to;
    const uint8_t *f = from;
    if (t < f) {
        while (n--) {
            *t++ = *f++;
        }
    } else {
        while (n--) {
            t[n] = f[n];
        }
    }
    return to;
}

void *memset(void *to, int c, size_t n) {
    uint8_t *t = to;
    while (n--) {
        *t++ = (uint8_t)c;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t n) {
    const uint8_t *p = a, *q = b;
    for (; n; n--, p++, q++) {
        if (*p != *q) {
            return *p - *q;
        }
    }
    return 0;
}
