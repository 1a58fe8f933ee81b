// SPDX-License-Identifier: MIT
#ifndef STDLIB_H
#define STDLIB_H
#include <stddef.h>
void abort(void) __attribute__((noreturn));
int abs(int v);
int atoi(const char *s);
void *malloc(size_t n);
void free(void *p);
void exit(int status) __attribute__((noreturn));
#endif
