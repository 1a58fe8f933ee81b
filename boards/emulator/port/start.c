// The image's first instructions: RAM cleared, the slot's bank mapped, then on to code in flash.
// SPDX-License-Identifier: MIT
#include "port.h"

extern uint32_t bss_start[], bss_end[];
int main(void);

struct ota_handover handover __attribute__((section(".noinit")));

IRAM void firmware_start(void) {
    for (uint32_t *p = bss_start; p < bss_end; p++) {
        *p = 0;
    }
    if (!ota_handover_get((volatile uint32_t *)BOARD_RTC_HANDOVER, &handover)) {
        handover.offset = BOARD_SLOT_A;
        handover.slot = handover.trial = handover.how = handover.reset_reason = 0;
    }
    rom_i2c_writeReg(103, 4, 1, 136); // as the SDK sets the clock up
    rom_i2c_writeReg(103, 4, 2, 145);
    flash_start();
    main();
    for (;;) {
    }
}
