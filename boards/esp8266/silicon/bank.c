// On the chip, the SDK maps flash bank 0. An image runs from the bank its slot lies in: this function takes the ROM's
// place when the firmware is linked, and asks the ROM for that bank instead.
// SPDX-License-Identifier: MIT
#include "bank.h"

#define RAM __attribute__((section(".iram0.text"), noinline)) // there is no flash to run from yet

typedef void (*cache_read_enable)(uint8_t odd, uint8_t mb, uint8_t size);
#define ROM_CACHE_READ_ENABLE ((cache_read_enable)0x40004678)

// Not in .bss, which the SDK clears after flash has been mapped.
static uint32_t bank __attribute__((section(".data"))) = UNKNOWN_BANK;

RAM uint32_t mpota_bank(void) {
    if (bank == UNKNOWN_BANK) {
        struct ota_handover h;
        bank = ota_handover_get((volatile uint32_t *)BOARD_RTC_HANDOVER, &h) ? h.offset / BOARD_WINDOW_SIZE : 0;
    }
    return bank;
}

RAM void Cache_Read_Enable(uint8_t odd, uint8_t mb, uint8_t size) {
    (void)odd, (void)mb;
    uint32_t b = mpota_bank();
    ROM_CACHE_READ_ENABLE(b & 1, (uint8_t)(b >> 1), size);
}
