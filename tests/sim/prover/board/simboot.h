// The second boot's board: what its header declares constant is set here at run time.
// SPDX-License-Identifier: MIT
#ifndef SIMBOOT_H
#define SIMBOOT_H

#include "boot.h"

void simboot_set(const struct ota_io *io, const struct ota_boot_config *config);

#endif
