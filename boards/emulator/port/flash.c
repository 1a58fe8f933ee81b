// Flash. The window goes away while a command runs, so these functions lie in RAM and no interrupt may enter flash.
// SPDX-License-Identifier: MIT
#include "port.h"

#include "boards/esp8266/silicon/chip.h"

struct flashchip { uint32_t id, chip_size; };
extern struct flashchip *flashchip; // the ROM's

uint32_t flash_id, flash_size;

static uint32_t since;

static IRAM uint32_t cache_off(void) {
    uint32_t state = irq_lock();
    since = ccount();
    Cache_Read_Disable();
    return state;
}

static IRAM void cache_on(uint32_t state) {
    uint32_t bank = handover.offset / BOARD_WINDOW_SIZE;
    Cache_Read_Enable(bank & 1, (uint8_t)(bank >> 1), 1);
    port_spent.flash += ccount() - since;
    irq_unlock(state);
}

IRAM void flash_start(void) {
    uint32_t state = cache_off();
    flash_id = flashchip->id;
    flash_size = BOARD_FLASH_SIZE;
    SPIParamCfg(flash_id, flash_size, 0x10000, 0x1000, 0x100, 0xffff); // the ROM believes in 4 MiB
    SPIUnlock();
    cache_on(state);
}

IRAM int flash_read(uint32_t offset, void *buf, uint32_t n) {
    uint32_t state = cache_off();
    int result = SPIRead(offset, buf, n);
    cache_on(state);
    return result;
}

IRAM int flash_write(uint32_t offset, const void *buf, uint32_t n) {
    uint32_t state = cache_off();
    int result = SPIWrite(offset, buf, n);
    cache_on(state);
    return result;
}

IRAM int flash_erase(uint32_t sector) {
    uint32_t state = cache_off();
    int result = SPIEraseSector(sector);
    cache_on(state);
    return result;
}

IRAM int mpota_erase_block(uint32_t block) {
    uint32_t state = cache_off();
    int result = SPIEraseBlock(block);
    cache_on(state);
    return result;
}
