// Formatted output of MicroPython's shared/libc/printf.c.
// SPDX-License-Identifier: MIT
#ifndef STDIO_H
#define STDIO_H
#include <stdarg.h>
#include <stddef.h>
#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2
int printf(const char *format, ...);
int vprintf(const char *format, va_list args);
int snprintf(char *out, size_t n, const char *format, ...);
int vsnprintf(char *out, size_t n, const char *format, va_list args);
int putchar(int c);
int puts(const char *s);
#endif
