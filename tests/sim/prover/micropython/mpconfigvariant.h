// The campaign's MicroPython: the unix port with what a board has, and no more.
// SPDX-License-Identifier: MIT
#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)
#include "variants/mpconfigvariant_common.h"
