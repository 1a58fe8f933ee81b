// memcpy, memset, memcmp for the benchmark: a word at a time where both ends allow it.
// SPDX-License-Identifier: MIT
#include <stdint.h>
#include <string.h>

void *memcpy(void *to, const void *from, size_t n) {
    uint8_t *t = to;
    const uint8_t *f = from;
    if ((((uintptr_t)t | (uintptr_t)f) & 3) == 0) {
        for (; n >= 4; n -= 4, t += 4, f += 4) {
            *(uint32_t *)(void *)t = *(const uint32_t *)(const void *)f;
        }
    }
    while (n-- > 0) {
        *t++ = *f++;
    }
    return to;
}

void *memset(void *to, int value, size_t n) {
    for (uint8_t *t = to; n > 0; n--) {
        *t++ = (uint8_t)value;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t n) {
    const uint8_t *p = a, *q = b;
    for (; n > 0; n--, p++, q++) {
        if (*p != *q) {
            return *p - *q;
        }
    }
    return 0;
}
