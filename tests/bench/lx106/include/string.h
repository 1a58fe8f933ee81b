// The functions of <string.h> the core uses: Debian has no C library for the LX106.
// SPDX-License-Identifier: MIT
#ifndef BENCH_STRING_H
#define BENCH_STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
