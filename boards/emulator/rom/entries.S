// The ROM's first 64 KiB: vectors and entry points, each a jump, at the chip's own addresses.
// SPDX-License-Identifier: MIT
    .section .entries, "ax"
    .begin no-transform
    .org 0x10
    j debug_exception
    .org 0x20
    j nmi_exception
    .org 0x30
    j level1_exception
    .org 0x50
    j level1_exception
    .org 0x70
    j double_exception
    .org 0x80
    j reset_handler
    .org 0xa4
    j reset_handler
#define ROM(address, name) .org 0x ## address - 0x40000000; j name;
#include "entries.h"
    .end no-transform
