// What lwIP wants to know of the compiler.
// SPDX-License-Identifier: MIT
#ifndef LWIP_ARCH_CC_H
#define LWIP_ARCH_CC_H

#include <stdint.h>

#define LWIP_NO_INTTYPES_H 1
#define X8_F "02x"
#define U16_F "u"
#define S16_F "d"
#define X16_F "x"
#define U32_F "u"
#define S32_F "d"
#define X32_F "x"
#define SZT_F "u"
#define LWIP_NO_UNISTD_H 1
#define LWIP_NO_CTYPE_H 1
#define BYTE_ORDER LITTLE_ENDIAN

#define LWIP_PLATFORM_DIAG(x) // no debugging output is compiled in
// MicroPython closes listening sockets in a way that lwIP 2.2 asserts against, and nothing comes of it.
#define LWIP_NOASSERT

#endif
