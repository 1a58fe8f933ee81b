// Which architectures a decoder has. A board that is short of flash builds a file with its own ones instead of this.
// SPDX-License-Identifier: MIT
#include "patch_model.h"

const struct patch_arch *patch_arch(const struct patch_state *s) {
    static const struct patch_arch *const archs[OTA_PATCH_ARCHS] = {&patch_raw, &patch_xtensa, &patch_thumb, &patch_arm, &patch_x86_64};
    return archs[s->info.arch];
}
