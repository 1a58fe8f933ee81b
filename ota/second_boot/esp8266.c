// The second boot's chip: ESP8266. Runs from IRAM that becomes cache once an image maps flash, its data high in DRAM,
// so an image may be loaded over everything else. Calls only the mask ROM.
// SPDX-License-Identifier: MIT
#include "second_boot.h"

#include "board.h"
#include "handover.h"

// Functions of the mask ROM.
int SPIRead(uint32_t address, void *dst, uint32_t n);
int SPIWrite(uint32_t address, const uint32_t *src, uint32_t n);
int SPIEraseSector(uint32_t sector);
int SPIUnlock(void);
int SPIParamCfg(uint32_t id, uint32_t chip_size, uint32_t block, uint32_t sector, uint32_t page, uint32_t mask);
int uart_rx_one_char(uint8_t *c);
int uart_tx_one_char(uint8_t c);
void uart_div_modify(uint32_t uart, uint32_t divisor);
void ets_delay_us(uint32_t us);
void ets_isr_mask(uint32_t mask);
void ets_wdt_enable(uint32_t mode, uint32_t stage0, uint32_t stage1);
uint32_t rtc_get_reset_reason(void);
uint8_t rom_i2c_readReg(uint8_t block, uint8_t host, uint8_t reg);
void rom_i2c_writeReg(uint8_t block, uint8_t host, uint8_t reg, uint8_t data);
void ets_update_cpu_frequency(uint32_t mhz);
struct flashchip {
    uint32_t id, chip_size, block_size, sector_size, page_size, status_mask;
};
extern struct flashchip *flashchip;

#define REG32(address) (*(volatile uint32_t *)(address))
#define WDT_FEED REG32(0x60000914)
#define WDT_FEED_KEY 0x73u
#define SDK_RESTART_REASON REG32(0x60001100) // RTC system memory: 1..3 are watchdogs and crashes

#define ROM_REASON_WATCHDOG 4u
#define UART_INTERRUPT 5u
#define ROM_RESET_VECTOR 0x40000080u
#define CLOCK_MHZ 80u
#define BAUD 115200u
// The PLL's first two registers for 80 MHz from a 26 MHz crystal. No data sheet has them; the SDK writes them, as does whoever does without it.
#define PLL_BLOCK 103u
#define PLL_HOST 4u
#define PLL_1 136u
#define PLL_2 145u
#define PLL_SETTLES_US 100u
// Both stages 2^12 x 1.6 ms: 13 s for an image to take the watchdog over.
#define WDT_MODE 4u
#define WDT_STAGE 12u

// Where an image's segments may go. Everything else belongs to the ROM, to this loader or to nobody.
#define IRAM_START 0x40100000u
#define IRAM_END 0x40108000u
#define DRAM_START 0x3ffe8000u
extern uint8_t loader_data_start[];
extern uint32_t loader_bss_start[], loader_bss_end[];

#define IMAGE_MAGIC 0xe9u
#define MAX_SEGMENTS 16u

static uint32_t reset_reason;

static void feed(void *ctx) {
    (void)ctx;
    WDT_FEED = WDT_FEED_KEY;
}

// The ROM reads whole words into aligned buffers; the core asks for any.
static int flash_read(void *ctx, uint32_t offset, void *buf, uint32_t n) {
    (void)ctx;
    uint8_t *out = buf;
    if (offset > BOARD_FLASH_SIZE || n > BOARD_FLASH_SIZE - offset) {
        return OTA_E_FLASH;
    }
    if (((uintptr_t)buf & 3) == 0 && n >= 4) {
        uint32_t whole = n & ~3u;
        if (SPIRead(offset, buf, whole) != 0) {
            return OTA_E_FLASH;
        }
        offset += whole;
        out += whole;
        n -= whole;
    }
    while (n > 0) {
        uint32_t words[8];
        uint32_t part = n < sizeof(words) ? n : (uint32_t)sizeof(words);
        if (SPIRead(offset, words, (part + 3) & ~3u) != 0) {
            return OTA_E_FLASH;
        }
        memcpy(out, words, part);
        offset += part;
        out += part;
        n -= part;
    }
    return OTA_OK;
}

static int flash_write(void *ctx, uint32_t offset, const void *buf, uint32_t n) {
    (void)ctx;
    const uint8_t *in = buf;
    while (n > 0) {
        uint32_t words[16];
        uint32_t part = n < sizeof(words) ? n : (uint32_t)sizeof(words);
        memcpy(words, in, part);
        feed(NULL);
        if (SPIWrite(offset, words, part) != 0) {
            return OTA_E_FLASH;
        }
        offset += part;
        in += part;
        n -= part;
    }
    return OTA_OK;
}

static int flash_erase(void *ctx, uint32_t offset, uint32_t n) {
    (void)ctx;
    for (; n > 0; n -= BOARD_FLASH_SECTOR, offset += BOARD_FLASH_SECTOR) {
        feed(NULL);
        if (SPIEraseSector(offset / BOARD_FLASH_SECTOR) != 0) {
            return OTA_E_FLASH;
        }
    }
    return OTA_OK;
}

const struct ota_io second_boot_flash = {
    .ctx = NULL, .size = BOARD_FLASH_SIZE, .sector = BOARD_FLASH_SECTOR,
    .read = flash_read, .write = flash_write, .erase = flash_erase, .feed = feed,
};

bool second_boot_suspicious(void) {
    uint32_t sdk = SDK_RESTART_REASON;
    return reset_reason == ROM_REASON_WATCHDOG || (sdk >= 1 && sdk <= 3);
}

int second_boot_get(uint32_t ms) {
    for (uint32_t i = 0;; i++) {
        uint8_t c;
        feed(NULL);
        if (uart_rx_one_char(&c) == 0) {
            return c;
        }
        if (i >= ms * 10) {
            return -1;
        }
        ets_delay_us(100); // shorter than the FIFO takes to fill
    }
}

void second_boot_put(uint8_t c) {
    uart_tx_one_char(c);
}

void second_boot_restart(void) {
    // As the SDK does. After a software_reset() of the chip the ROM does not attach the flash again, and stands still.
    ((void (*)(void))ROM_RESET_VECTOR)();
    for (;;) {
    }
}

static bool inside(uint32_t address, uint32_t n, uint32_t start, uint32_t end) {
    return address >= start && address <= end && n <= end - address;
}

// Segment `n` bytes long whose data lie at `offset` in flash: executed in place, or loaded to where it may.
static bool segment_allowed(uint32_t address, uint32_t n, uint32_t offset, bool first) {
    if ((n | address) & 3) {
        return false;
    }
    if (inside(address, n, BOARD_WINDOW, BOARD_WINDOW + BOARD_WINDOW_SIZE)) {
        return first && address - BOARD_WINDOW == offset % BOARD_WINDOW_SIZE;
    }
    return inside(address, n, IRAM_START, IRAM_END) || inside(address, n, DRAM_START, (uint32_t)(uintptr_t)loader_data_start);
}

// Walks the payload's segments: checks them all, or (load) copies those for RAM. Returns the entry point or 0.
static uint32_t walk(const struct ota_boot_choice *choice, bool load) {
    uint32_t head[2];
    uint32_t offset = choice->offset, end = choice->offset + choice->payload_size;
    if (choice->payload_size < 8 || SPIRead(offset, head, 8) != 0 || (head[0] & 0xff) != IMAGE_MAGIC) {
        return 0;
    }
    uint32_t count = head[0] >> 8 & 0xff, entry = head[1];
    if (count == 0 || count > MAX_SEGMENTS || !inside(entry, 4, IRAM_START, IRAM_END)) {
        return 0;
    }
    offset += 8;
    for (uint32_t i = 0; i < count; i++) {
        if (end - offset < 8 || SPIRead(offset, head, 8) != 0) {
            return 0;
        }
        offset += 8;
        if (head[1] > end - offset || !segment_allowed(head[0], head[1], offset, i == 0)) {
            return 0;
        }
        bool in_place = head[0] - BOARD_WINDOW < BOARD_WINDOW_SIZE;
        feed(NULL);
        if (load && !in_place && SPIRead(offset, (void *)(uintptr_t)head[0], head[1]) != 0) {
            return 0;
        }
        offset += head[1];
    }
    return entry;
}

bool second_boot_can_start(const struct ota_boot_choice *choice) {
    return walk(choice, false) != 0;
}

void second_boot_start(const struct ota_boot_choice *choice, uint32_t slot_offset) {
    if (!second_boot_can_start(choice)) {
        return;
    }
    uint32_t entry = walk(choice, true);
    if (entry == 0) {
        second_boot_restart(); // flash failed half-way through loading
    }
    const struct ota_handover h = {
        .slot = choice->slot, .trial = choice->trial, .how = (uint8_t)choice->how,
        .reset_reason = (uint8_t)reset_reason, .offset = slot_offset,
    };
    ota_handover_put((volatile uint32_t *)BOARD_RTC_HANDOVER, &h);
    ets_wdt_enable(WDT_MODE, WDT_STAGE, WDT_STAGE); // a confirmed image may have rotted
    feed(NULL);
    ((void (*)(void))(uintptr_t)entry)(); // with the cache off: the image maps its own bank
    second_boot_restart();
}

// A reset of the chip leaves the clock at 52 MHz, the SDK's restart at its own 80: the console's speed hangs on it.
static void set_clock(void) {
    if (rom_i2c_readReg(PLL_BLOCK, PLL_HOST, 1) != PLL_1) {
        rom_i2c_writeReg(PLL_BLOCK, PLL_HOST, 1, PLL_1);
        rom_i2c_writeReg(PLL_BLOCK, PLL_HOST, 2, PLL_2);
    }
    ets_update_cpu_frequency(CLOCK_MHZ);
    ets_delay_us(PLL_SETTLES_US);
}

// The ROM calls this with its own stack, which the image inherits.
void loader_start(void) {
    for (uint32_t *p = loader_bss_start; p < loader_bss_end; p++) {
        *p = 0;
    }
    reset_reason = rtc_get_reset_reason();
    feed(NULL);
    ets_isr_mask(1u << UART_INTERRUPT); // the ROM's handler would take the console's bytes
    set_clock();
    uart_div_modify(0, CLOCK_MHZ * 1000000u / BAUD);
    SPIParamCfg(flashchip->id, BOARD_FLASH_SIZE, 0x10000, BOARD_FLASH_SECTOR, 0x100, 0xffff);
    SPIUnlock();
    second_boot_main();
}
