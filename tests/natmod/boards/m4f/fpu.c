// The port starts every Cortex-M the same way; this one's FPU is off until it is switched on.
// SPDX-License-Identifier: MIT
#include <stdint.h>

int __real_main(int argc, char **argv);
int __wrap_main(int argc, char **argv);

int __wrap_main(int argc, char **argv) {
    *(volatile uint32_t *)0xe000ed88 |= 0xf << 20; // CPACR: CP10, CP11
    __asm__ volatile ("dsb\nisb");
    return __real_main(argc, argv);
}
