// Which architectures a decoder has: all. A board that is short of flash builds a file with its own ones instead of this.
// SPDX-License-Identifier: MIT
#include "patch_model.h"

const struct patch_arch *const patch_archs[OTA_PATCH_ARCHS] = {&patch_raw, &patch_xtensa, &patch_thumb, &patch_arm, &patch_x86_64};
