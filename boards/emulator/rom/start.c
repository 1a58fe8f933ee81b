// Start-up: reset reason, ROM data, loading the program at flash offset 0 as the chip does.
// SPDX-License-Identifier: MIT
#include "rom.h"

struct emulator emulator __attribute__((section(".emulator")));

extern uint32_t rom_data_start[], rom_data_end[], rom_data_load[], rom_bss_start[], rom_bss_end[];

#define FLASH_STRAPS 3
#define MASKED_MS 500u // no tick for so long, and the watchdog on: it would have bitten
#define PS_AT_RESET 0x1fu
#define IMAGE_MAGIC 0xe9
#define IMAGE_CHECKSUM_SEED 0xef

void machine_reset(uint32_t reason) {
    emulator.pending = reason;
    BOARD_RESET = BOARD_RESET_KEY;
    for (;;) {
    }
}

void machine_stop(int status, const char *what, uint32_t value) {
    static const char digits[] = "0123456789abcdef";
    char hex[12] = " 0x";
    for (int i = 0; i < 8; i++) {
        hex[3 + i] = digits[value >> (28 - 4 * i) & 15];
    }
    hex[11] = '\n';
    simcall(SIM_WRITE, 2, (uint32_t)"emulator: ", 10);
    simcall(SIM_WRITE, 2, (uint32_t)what, strlen(what));
    simcall(SIM_WRITE, 2, (uint32_t)hex, sizeof(hex));
    simcall(SIM_EXIT, (uint32_t)status, 0, 0);
    for (;;) {
    }
}

static void copy_rom_data(void) {
    uint32_t *from = rom_data_load;
    for (uint32_t *to = rom_data_start; to < rom_data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = rom_bss_start; to < rom_bss_end;) {
        *to++ = 0;
    }
}

uint32_t rtc_get_reset_reason(void) {
    return emulator.reason;
}

void software_reset(void) {
    machine_reset(REASON_SOFTWARE);
}

// One segment: address, length, data. Addresses are not checked: the chip does not either.
static uint32_t load_segment(uint32_t offset, uint8_t *checksum, uint32_t number) {
    uint32_t head[4], piece[4];
    SPIRead(offset, head, 8);
    ets_printf("load 0x%08x, len %d\n", head[0], head[1]);
    offset += 8;
    for (uint32_t done = 0; done < head[1]; done += 16) {
        uint32_t n = head[1] - done < 16 ? head[1] - done : 16;
        if (n % 4) {
            machine_stop(MACHINE_MISUSE, "segment length is not a multiple of 4 in segment", number);
        }
        SPIRead(offset + done, piece, n);
        for (uint32_t i = 0; i < n; i++) {
            *checksum ^= ((uint8_t *)piece)[i];
        }
        memcpy((void *)(head[0] + done), piece, n);
    }
    return offset + head[1];
}

// 0 and *entry, or 1 with the reason printed.
static int load_flash(uint32_t *entry) {
    uint32_t head[2];
    uint8_t checksum = IMAGE_CHECKSUM_SEED;
    if (SPIRead(0, head, 8) || (head[0] & 0xff) != IMAGE_MAGIC) {
        ets_printf("no program at flash offset 0\n");
        return 1;
    }
    uint32_t count = head[0] >> 8 & 0xff;
    uint32_t offset = 8;
    for (uint32_t i = 0; i < count; i++) {
        offset = load_segment(offset, &checksum, i);
    }
    uint32_t last[4];
    SPIRead(offset & ~15u, last, 16);
    uint8_t stored = (uint8_t)(last[3] >> 24);
    ets_printf("chksum 0x%02x\ncsum 0x%02x\n", checksum, stored);
    *entry = head[1];
    return checksum != stored;
}

static uint32_t reset_reason(uint32_t ps) {
    uint32_t reason = emulator.pending;
    if (!emulator.started) {
        return REASON_POWER_ON;
    }
    if ((ps & 0x1f) != PS_AT_RESET) {
        return emulator.reason; // a program jumped to the reset vector: the chip still reports its last reset
    }
    if (!reason && (WDT_CONTROL & 1) && ccount() - emulator.last_tick > BOARD_HZ / 1000 * MASKED_MS) {
        return REASON_WATCHDOG;
    }
    return reason ? reason : REASON_EXTERNAL;
}

void rom_start(uint32_t ps) {
    uint32_t entry;
    bool jumped = emulator.started && (ps & 0x1f) != PS_AT_RESET;
    copy_rom_data();
    emulator.reason = reset_reason(ps);
    emulator.pending = 0;
    if (!emulator.started) {
        settings_read(&emulator.settings);
        flash_start();
        emulator.started = 1;
    }
    if (!jumped) {
        emulator.pll = 0;
        WDT_CONTROL = 0;
        RTC_CONTROL = 0;
    }
    window_reset();
    uart_start();
    timer_start();
    ets_printf("\n ets Jan  8 2013,rst cause:%d, boot mode:(%d,6)\n\n", emulator.reason, FLASH_STRAPS);
    if (emulator.reason == REASON_WATCHDOG) {
        ets_printf("wdt reset\n");
    }
    // By its own software reset the chip lets go of the flash, and for this cause alone the ROM does not attach it again.
    if (emulator.reason != REASON_SOFTWARE && load_flash(&entry) == 0) {
        rom_enter(entry);
    }
    ets_printf("ets_main.c 181 \n");
    for (;;) {
    }
}
