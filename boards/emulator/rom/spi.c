// Flash and the window onto it. The chip's rules hold: no SPI command while the cache is on, aligned buffers.
// SPDX-License-Identifier: MIT
#include "rom.h"

#define O_RDWR 2
#define O_CREAT 0100
#define COMMAND_BYTES 32u
#define READ_ID 0x1640efu
#define CANARY 0x51afe7edu

struct flashchip flashchip_data __attribute__((section(".flashchip_data"))) = {
    READ_ID, 0x400000, 0x10000, 0x1000, 0x100, 0xffff,
};
struct flashchip *flashchip __attribute__((section(".flashchip"))) = &flashchip_data;
uint32_t data_canary __attribute__((section(".data"))) = CANARY;

static int file_read(void *ctx, uint32_t offset, void *buf, uint32_t n) {
    (void)ctx;
    simcall(SIM_LSEEK, (uint32_t)emulator.flash, offset, 0);
    return simcall(SIM_READ, (uint32_t)emulator.flash, (uint32_t)buf, n) == (int)n ? 0 : -1;
}

static int file_write(void *ctx, uint32_t offset, const void *buf, uint32_t n) {
    (void)ctx;
    simcall(SIM_LSEEK, (uint32_t)emulator.flash, offset, 0);
    return simcall(SIM_WRITE, (uint32_t)emulator.flash, (uint32_t)buf, n) == (int)n ? 0 : -1;
}

static const struct nor_store store = {NULL, file_read, file_write};

static void save_state(uint32_t from, uint32_t n) {
    if (emulator.state >= 0) {
        simcall(SIM_LSEEK, (uint32_t)emulator.state, from, 0);
        simcall(SIM_WRITE, (uint32_t)emulator.state, (uint32_t)&emulator.nor + from, n);
    }
}

void flash_start(void) {
    struct settings *s = &emulator.settings;
    nor_t *nor = &emulator.nor;
    emulator.flash = simcall(SIM_OPEN, (uint32_t)s->flash, O_RDWR, 0);
    if (emulator.flash < 0) {
        machine_stop(MACHINE_SETTINGS, "cannot open the flash file (flash=PATH)", 0);
    }
    emulator.state = -1;
    if (s->state[0]) {
        emulator.state = simcall(SIM_OPEN, (uint32_t)s->state, O_RDWR | O_CREAT, 0644);
        simcall(SIM_READ, (uint32_t)emulator.state, (uint32_t)nor, sizeof(*nor));
    }
    nor->size = s->size;
    nor->strict = s->strict;
    nor->cut_at = s->cut_at;
    nor->cut_kind = s->cut_kind;
    nor->cut_seed = s->cut_seed;
    if (nor->size == 0 || nor->size % FLASH_BANK_BYTES || simcall(SIM_LSEEK, (uint32_t)emulator.flash, 0, 2) != (int)nor->size) {
        machine_stop(MACHINE_SETTINGS, "the flash file is not of the size given (size=BYTES)", nor->size);
    }
    save_state(0, sizeof(*nor));
}

// Every SPI function starts here. `caller` runs on after the call, so it may not lie in the window.
static void check(const char *what, void *caller) {
    if (emulator.cache_on) {
        machine_stop(MACHINE_MISUSE, what, (uint32_t)caller);
    }
    if ((uint32_t)caller - FLASH_WINDOW < FLASH_BANK_BYTES) {
        machine_stop(MACHINE_MISUSE, "flash function called from code in flash, at", (uint32_t)caller);
    }
    if (data_canary != CANARY || flashchip != &flashchip_data) {
        machine_stop(MACHINE_MISUSE, "the ROM's data at 0x3fffc000 were overwritten; noticed by", (uint32_t)caller);
    }
}

static void check_aligned(const char *what, uint32_t bits) {
    if (bits & 3) {
        machine_stop(MACHINE_MISUSE, what, bits);
    }
}

// What the NOR rules say of an operation on [offset, offset+n), and what the chip says: 0 good, 1 failed.
static int finish(int result, uint32_t offset, uint32_t n) {
    if (offset < emulator.dirty_from) {
        emulator.dirty_from = offset;
    }
    if (offset + n > emulator.dirty_to) {
        emulator.dirty_to = offset + n;
    }
    save_state(0, offsetof(nor_t, wear));
    if (result == NOR_CUT) {
        machine_stop(MACHINE_POWER_CUT, "power cut in flash operation on", offset);
    }
    if (result == NOR_E_BITS) {
        machine_stop(MACHINE_MISUSE, "program needs a cleared bit set, at", offset);
    }
    return result != NOR_OK;
}

// Above the chip, addresses wrap round; flashchip->chip_size is only what the ROM believes.
static uint32_t wrap(uint32_t address) {
    return address % emulator.nor.size;
}

static int out_of_range(uint32_t address, uint32_t n) {
    return address > flashchip->chip_size || n > flashchip->chip_size - address;
}

int SPIRead(uint32_t address, void *dst, uint32_t n) {
    check("SPIRead with the cache on, from", __builtin_return_address(0));
    check_aligned("SPIRead: buffer or length not a multiple of 4:", (uint32_t)dst | n);
    if (out_of_range(address, n)) {
        return 1;
    }
    return nor_read(&emulator.nor, &store, wrap(address), dst, n) != NOR_OK;
}

int SPIWrite(uint32_t address, const uint32_t *src, uint32_t n) {
    check("SPIWrite with the cache on, from", __builtin_return_address(0));
    check_aligned("SPIWrite: address, buffer or length not a multiple of 4:", address | (uint32_t)src | n);
    if (out_of_range(address, n)) {
        return 1;
    }
    const uint8_t *in = (const uint8_t *)src;
    while (n) {
        uint32_t part = COMMAND_BYTES; // from the start of each page, as the chip's ROM cuts its commands
        uint32_t page_left = NOR_PAGE_BYTES - address % NOR_PAGE_BYTES;
        part = part < page_left ? part : page_left;
        part = part < n ? part : n;
        if (finish(nor_program(&emulator.nor, &store, wrap(address), in, part), wrap(address), part)) {
            return 1;
        }
        address += part;
        in += part;
        n -= part;
    }
    return 0;
}

static int erase(uint32_t offset, uint32_t n) {
    if (out_of_range(offset, n)) {
        return 1;
    }
    int result = nor_erase(&emulator.nor, &store, wrap(offset), n);
    uint32_t first = wrap(offset) / NOR_SECTOR_BYTES;
    save_state(offsetof(nor_t, wear) + 4 * first, 4 * (n / NOR_SECTOR_BYTES));
    return finish(result, wrap(offset), n);
}

int SPIEraseSector(uint32_t sector) {
    check("SPIEraseSector with the cache on, from", __builtin_return_address(0));
    return erase(sector * flashchip->sector_size, NOR_SECTOR_BYTES);
}

int SPIEraseBlock(uint32_t block) {
    check("SPIEraseBlock with the cache on, from", __builtin_return_address(0));
    return erase(block * flashchip->block_size, 65536);
}

// The chip's ROM does not count the sectors up to the next block and so erases that many too much.
int SPIEraseArea(uint32_t address, uint32_t n) {
    check("SPIEraseArea with the cache on, from", __builtin_return_address(0));
    uint32_t first = address / NOR_SECTOR_BYTES;
    uint32_t sectors = (n + NOR_SECTOR_BYTES - 1) / NOR_SECTOR_BYTES;
    uint32_t to_block = 16 - first % 16;
    sectors += to_block < sectors ? to_block : sectors;
    int failed = 0;
    for (uint32_t i = 0; i < sectors && !failed; i++) {
        failed = erase((first + i) * NOR_SECTOR_BYTES, NOR_SECTOR_BYTES);
    }
    return failed;
}

int SPIEraseChip(void) {
    check("SPIEraseChip with the cache on, from", __builtin_return_address(0));
    int failed = 0;
    for (uint32_t at = 0; at < emulator.nor.size && !failed; at += 65536) {
        failed = erase(at, 65536);
    }
    return failed;
}

int SPIParamCfg(uint32_t id, uint32_t chip_size, uint32_t block, uint32_t sector, uint32_t page, uint32_t mask) {
    *flashchip = (struct flashchip){id, chip_size, block, sector, page, mask};
    return 0;
}

int SPIUnlock(void) {
    check("SPIUnlock with the cache on, from", __builtin_return_address(0));
    return 0;
}

int SPILock(void) {
    check("SPILock with the cache on, from", __builtin_return_address(0));
    return 0;
}

int SPIReadModeCnfig(uint32_t mode) {
    check("SPIReadModeCnfig with the cache on, from", __builtin_return_address(0));
    return mode > 5;
}

int SPI_read_status(struct flashchip *chip, uint32_t *status) {
    check("SPI_read_status with the cache on, from", __builtin_return_address(0));
    (void)chip;
    *status = 0;
    return 0;
}

int SPI_write_status(struct flashchip *chip, uint32_t status) {
    check("SPI_write_status with the cache on, from", __builtin_return_address(0));
    (void)chip, (void)status;
    return 0;
}

int SPI_write_enable(struct flashchip *chip) {
    check("SPI_write_enable with the cache on, from", __builtin_return_address(0));
    (void)chip;
    return 0;
}

int Wait_SPI_Idle(struct flashchip *chip) {
    check("Wait_SPI_Idle with the cache on, from", __builtin_return_address(0));
    (void)chip;
    return 0;
}

void spi_flash_attach(void) {
}

// An instruction fetched from the window before it is mapped hangs the chip; here zeros are illegal.
void window_reset(void) {
    simcall(SIM_MEMSET, FLASH_WINDOW, 0, FLASH_BANK_BYTES);
    emulator.cache_on = 0;
    emulator.bank = 0;
    emulator.dirty_from = UINT32_MAX;
    emulator.dirty_to = 0;
}

void Cache_Read_Disable(void) {
    emulator.cache_on = 0;
}

static void load_window(uint32_t from, uint32_t to) {
    if (from < to && file_read(NULL, from, (void *)(FLASH_WINDOW + from % FLASH_BANK_BYTES), to - from) < 0) {
        machine_stop(MACHINE_MISUSE, "cannot read flash into the window at", from);
    }
}

// 32 KiB of instruction RAM become the cache, or the upper 16: a program still running there is lost.
#define CACHE_RAM 0x40108000u
#define CACHE_BYTES 0x8000u

static void take_cache_ram(uint8_t size) {
    uint32_t bytes = size ? CACHE_BYTES : CACHE_BYTES / 2;
    simcall(SIM_MEMSET, CACHE_RAM + CACHE_BYTES - bytes, 0, bytes);
}

// Only what changed is read again, which spares QEMU translating the image's code anew after every write.
void Cache_Read_Enable(uint8_t odd, uint8_t mb, uint8_t size) {
    uint32_t start = wrap((2u * mb + (odd & 1u)) * FLASH_BANK_BYTES);
    uint32_t end = start + FLASH_BANK_BYTES;
    if (emulator.bank != start / FLASH_BANK_BYTES + 1) {
        take_cache_ram(size);
        load_window(start, end);
        emulator.bank = start / FLASH_BANK_BYTES + 1;
    } else {
        uint32_t from = emulator.dirty_from > start ? emulator.dirty_from : start;
        uint32_t to = emulator.dirty_to < end ? emulator.dirty_to : end;
        load_window(from, to);
    }
    emulator.dirty_from = UINT32_MAX;
    emulator.dirty_to = 0;
    emulator.cache_on = 1;
}
