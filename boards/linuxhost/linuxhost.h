// What the second boot and the running image agree on, in place of a chip's registers.
// SPDX-License-Identifier: MIT
#ifndef LINUXHOST_H
#define LINUXHOST_H

#define LINUXHOST_ENV_FLASH "MPOTA_FLASH" // path of the flash file
#define LINUXHOST_ENV_SLOT "MPOTA_SLOT"   // running slot, 0 or 1
#define LINUXHOST_WATCHDOG_FD 3           // a byte written here restarts the watchdog
#define LINUXHOST_EXIT_RESET 75           // exit status of an image that asks for a reset

#endif
