// Memory and strings, under their C names and the ROM's.
// SPDX-License-Identifier: MIT
#include "rom.h"

#define ALIAS(name) __attribute__((alias(#name)))

void *memcpy(void *dst, const void *src, size_t n) {
    uint8_t *to = dst;
    const uint8_t *from = src;
    if ((((uint32_t)to | (uint32_t)from) & 3) == 0) {
        for (; n >= 4; n -= 4, to += 4, from += 4) {
            *(uint32_t *)to = *(const uint32_t *)from;
        }
    }
    while (n--) {
        *to++ = *from++;
    }
    return dst;
}

void *memmove(void *dst, const void *src, size_t n) {
    uint8_t *to = dst;
    const uint8_t *from = src;
    if (to <= from || to >= from + n) {
        return memcpy(dst, src, n);
    }
    if ((((uint32_t)to | (uint32_t)from | n) & 3) == 0) {
        for (; n; n -= 4) {
            *(uint32_t *)(to + n - 4) = *(const uint32_t *)(from + n - 4);
        }
    }
    while (n--) {
        to[n] = from[n];
    }
    return dst;
}

void *memset(void *dst, int c, size_t n) {
    uint8_t *to = dst;
    uint32_t word = (uint8_t)c * 0x01010101u;
    for (; n && ((uint32_t)to & 3); n--) {
        *to++ = (uint8_t)c;
    }
    for (; n >= 4; n -= 4, to += 4) {
        *(uint32_t *)to = word;
    }
    while (n--) {
        *to++ = (uint8_t)c;
    }
    return dst;
}

int memcmp(const void *a, const void *b, size_t n) {
    const uint8_t *x = a, *y = b;
    for (; n; n--, x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}

void bzero(void *dst, size_t n) {
    memset(dst, 0, n);
}

size_t strlen(const char *s) {
    size_t n = 0;
    while (s[n]) {
        n++;
    }
    return n;
}

int strncmp(const char *a, const char *b, size_t n) {
    for (; n; n--, a++, b++) {
        if (*a != *b || !*a) {
            return (uint8_t)*a - (uint8_t)*b;
        }
    }
    return 0;
}

int strcmp(const char *a, const char *b) {
    return strncmp(a, b, SIZE_MAX);
}

char *strncpy(char *dst, const char *src, size_t n) {
    size_t i = 0;
    for (; i < n && src[i]; i++) {
        dst[i] = src[i];
    }
    for (; i < n; i++) {
        dst[i] = 0;
    }
    return dst;
}

char *strcpy(char *dst, const char *src) {
    memcpy(dst, src, strlen(src) + 1);
    return dst;
}

char *strstr(const char *s, const char *what) {
    size_t n = strlen(what);
    for (; *s || !n; s++) {
        if (strncmp(s, what, n) == 0) {
            return (char *)s;
        }
    }
    return NULL;
}

void *ets_memcpy(void *, const void *, size_t) ALIAS(memcpy);
void *ets_memmove(void *, const void *, size_t) ALIAS(memmove);
void *ets_memset(void *, int, size_t) ALIAS(memset);
int ets_memcmp(const void *, const void *, size_t) ALIAS(memcmp);
void ets_bzero(void *, size_t) ALIAS(bzero);
size_t ets_strlen(const char *) ALIAS(strlen);
int ets_strcmp(const char *, const char *) ALIAS(strcmp);
int ets_strncmp(const char *, const char *, size_t) ALIAS(strncmp);
char *ets_strcpy(char *, const char *) ALIAS(strcpy);
char *ets_strncpy(char *, const char *, size_t) ALIAS(strncpy);
