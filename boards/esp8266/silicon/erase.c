// On the chip: as the SDK erases a sector, with the cache off and nothing running that could lie in flash.
// SPDX-License-Identifier: MIT
#include "chip.h"

#define RAM __attribute__((section(".iram0.text"), noinline))

// The ROM's.
int SPIEraseBlock(uint32_t block);
void ets_intr_lock(void);
void ets_intr_unlock(void);
// The SDK's. They keep the bank that is mapped.
void Cache_Read_Disable_2(void);
void Cache_Read_Enable_2(void);

RAM int mpota_erase_block(uint32_t block) {
    ets_intr_lock();
    Cache_Read_Disable_2();
    int failed = SPIEraseBlock(block);
    Cache_Read_Enable_2();
    ets_intr_unlock();
    return failed;
}
