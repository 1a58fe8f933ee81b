// second_boot.h declares these two constant, as they are on a chip; this file alone knows them as variables.
// SPDX-License-Identifier: MIT
#include "simboot.h"

struct ota_boot_config second_boot_config;
struct ota_io second_boot_flash;

void simboot_set(const struct ota_io *io, const struct ota_boot_config *config) {
    second_boot_flash = *io;
    second_boot_config = *config;
}
