// The MicroPython whose Python parsers are fuzzed: the unix port with what a board has. Every jump of the byte code is counted for
// libFuzzer, so that a new branch of a parser is new to it.
// SPDX-License-Identifier: MIT
#include <stdint.h>

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)
#define MICROPY_VM_HOOK_LOOP fuzz_jumped(ip);
#include "variants/mpconfigvariant_common.h"

#define FUZZ_COUNTERS 65536u
extern uint8_t fuzz_counters[FUZZ_COUNTERS];

static inline void fuzz_jumped(const void *to) {
    fuzz_counters[((uint32_t)(uintptr_t)to * 0x9e3779b1u) >> 16]++;
}
