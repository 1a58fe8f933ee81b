// The tool-chain comes without a C library: these headers declare what the firmware brings itself.
// SPDX-License-Identifier: MIT
#include <stdint-gcc.h>
