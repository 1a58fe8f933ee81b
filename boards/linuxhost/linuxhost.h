// What the second boot and the running image agree on, in place of a chip's registers.
// SPDX-License-Identifier: MIT
#ifndef LINUXHOST_H
#define LINUXHOST_H

#define LINUXHOST_ENV_FLASH "MPOTA_FLASH" // path of the flash file
#define LINUXHOST_ENV_SLOT "MPOTA_SLOT"   // running slot, 0 or 1
#define LINUXHOST_WATCHDOG_FD 3           // a byte written here restarts the watchdog: 0 for its time, 1 for the next
#define LINUXHOST_BLOCKING_MS 60000       // what the C library may take for a name: three servers, twice 5 s each, and more
#define LINUXHOST_EXIT_RESET 75           // exit status of an image that asks for a reset

#endif
