// The whole test harness: CHECK, RUN, and splits of an input.
// SPDX-License-Identifier: MIT
#ifndef CHECK_H
#define CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition) do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, __LINE__, __func__, #condition); \
            exit(1); \
        } \
} while (0)

#define CHECK_EQUAL(a, b) do { \
        long long a_ = (long long)(a), b_ = (long long)(b); \
        if (a_ != b_) { \
            fprintf(stderr, "%s:%d: %s: %s is %lld, not %lld\n", __FILE__, __LINE__, __func__, #a, a_, b_); \
            exit(1); \
        } \
} while (0)

#define RUN(test) do { \
        test(); \
        printf("ok %s\n", #test); \
} while (0)

// Numbers that are the same in every run (xorshift32).
static inline uint32_t random32(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

enum split { SPLIT_WHOLE, SPLIT_BYTES, SPLIT_RANDOM, SPLITS };

// How many of the `left` bytes come next.
static inline uint32_t split_next(enum split split, uint32_t left, uint32_t *state) {
    if (split == SPLIT_WHOLE || left == 0) {
        return left;
    }
    uint32_t n = split == SPLIT_BYTES ? 1 : random32(state) % 100 + 1;
    return n < left ? n : left;
}

#endif
