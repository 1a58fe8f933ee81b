// SPDX-License-Identifier: MIT
#ifndef SYS_TYPES_H
#define SYS_TYPES_H
#include <stddef.h>
#include <stdint.h>
typedef int32_t __int32_t;
typedef uint32_t __uint32_t;
typedef uint8_t __uint8_t;
typedef int ssize_t;
typedef long off_t;
#endif
