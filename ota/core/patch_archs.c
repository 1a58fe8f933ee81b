// Which architectures a decoder has: all. A board that is short of flash builds a file with its own ones instead of this.
// SPDX-License-Identifier: MIT
#include "patch_model.h"

const struct patch_arch *patch_arch(uint32_t number) {
    static const struct patch_arch *const archs[OTA_PATCH_ARCHS] = {&patch_raw, &patch_xtensa, &patch_thumb, &patch_arm, &patch_x86_64};
    return number < OTA_PATCH_ARCHS ? archs[number] : NULL;
}
