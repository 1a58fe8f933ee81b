// What the core needs of <string.h>, for compilers that come without a C library.
// SPDX-License-Identifier: MIT
#ifndef TEST_STRING_H
#define TEST_STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
