// The linuxhost board's flash chip: a file of the chip's size, held to the rules of NOR flash.
// SPDX-License-Identifier: MIT
#ifndef HOSTFLASH_H
#define HOSTFLASH_H

#include "ota.h"

// Opens `path` and makes `io` read, program and erase it. Returns NULL or what is wrong, in words.
const char *hostflash_open(struct ota_io *io, const char *path, uint32_t size, uint32_t sector);

#endif
