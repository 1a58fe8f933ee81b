// The architectures of a board with an Xtensa core: its own, and plain bytes.
// SPDX-License-Identifier: MIT
#include "patch_model.h"

const struct patch_arch *const patch_archs[OTA_PATCH_ARCHS] = {[OTA_PATCH_RAW] = &patch_raw, [OTA_PATCH_XTENSA] = &patch_xtensa};
