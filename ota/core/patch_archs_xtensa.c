// The architectures of a board with an Xtensa core: its own, and plain bytes.
// SPDX-License-Identifier: MIT
#include "patch_model.h"

const struct patch_arch *patch_arch(uint32_t number) {
    return number == OTA_PATCH_XTENSA ? &patch_xtensa : number == OTA_PATCH_RAW ? &patch_raw : NULL;
}
