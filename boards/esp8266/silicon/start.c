// The image's entry on the chip, in place of upstream's firmware_start: tells the ROM the size of the flash, and where the
// SDK's RF parameters are missing writes upstream's, which lie in this image's bank and not in bank 0.
// SPDX-License-Identifier: MIT
#define firmware_start upstream_firmware_start
#include "esp_init_data.c"
#undef firmware_start

#include "bank.h"

#define RAM __attribute__((section(".iram0.text"), noinline))
#define RF_PARAMETERS (BOARD_FLASH_SIZE - 4 * BOARD_FLASH_SECTOR)
#define WORDS (sizeof(default_init_data) / 4)

int SPIParamCfg(uint32_t id, uint32_t chip_size, uint32_t block, uint32_t sector, uint32_t page, uint32_t mask);

// Parameters of the owner's are kept. Those whose end is blank, and that lack no bit of the defaults, were cut while they were written.
RAM void mpota_start(void) {
    uint32_t words[WORDS], defaults[WORDS], foreign = 0;
    uint32_t offset = (uint32_t)default_init_data - BOARD_WINDOW + mpota_bank() * BOARD_WINDOW_SIZE;
    SPIParamCfg(0x1640ef, BOARD_FLASH_SIZE, 0x10000, BOARD_FLASH_SECTOR, 0x100, 0xffff);
    SPIRead(RF_PARAMETERS, words, sizeof(words));
    SPIRead(offset, defaults, sizeof(defaults));
    for (uint32_t i = 0; i < WORDS; i++) {
        foreign |= ~words[i] & defaults[i];
    }
    if (!foreign && words[WORDS - 1] != defaults[WORDS - 1]) {
        SPIWrite(RF_PARAMETERS, defaults, sizeof(defaults));
    }
    asm ("j call_user_start");
}
