// SPDX-License-Identifier: MIT
#ifndef INTTYPES_H
#define INTTYPES_H
#include <stdint.h>
#define PRIu8 "u"
#define PRIu16 "u"
#define PRIx16 "x"
#define PRId32 "d"
#define PRIu32 "u"
#define PRIx32 "x"
#endif
