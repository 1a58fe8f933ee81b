// What the files of this port share.
// SPDX-License-Identifier: MIT
#ifndef PORT_H
#define PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../machine.h"
#include "board.h"
#include "ota/second_boot/handover.h"

// Runs with the cache off, so it may not lie in flash.
#define IRAM __attribute__((section(".iram0.text"), noinline))

// Functions of the mask ROM (rom/entries.h).
int SPIRead(uint32_t address, void *dst, uint32_t n);
int SPIWrite(uint32_t address, const uint32_t *src, uint32_t n);
int SPIEraseSector(uint32_t sector);
int SPIEraseBlock(uint32_t block);
int SPIUnlock(void);
int SPIParamCfg(uint32_t id, uint32_t chip_size, uint32_t block, uint32_t sector, uint32_t page, uint32_t mask);
void Cache_Read_Enable(uint8_t odd, uint8_t mb, uint8_t size);
void Cache_Read_Disable(void);
void rom_i2c_writeReg(uint8_t block, uint8_t host, uint8_t reg, uint8_t data);
int uart_tx_one_char(uint8_t c);
int ets_printf(const char *format, ...);
// The ROM reads the format by bytes, so it may not lie in flash.
#define ROM_PRINTF(format, ...) do { static char text[] = format; ets_printf(text, ##__VA_ARGS__); } while (0)
void ets_wdt_enable(uint32_t mode, uint32_t stage0, uint32_t stage1);
void ets_isr_attach(int n, void (*handler)(void *arg, void *frame), void *arg);
void ets_isr_unmask(uint32_t mask);
void *_xtos_set_exception_handler(uint32_t n, void (*handler)(void *frame, int cause));

extern struct ota_handover handover;
extern uint32_t flash_id, flash_size;
void flash_start(void);
int flash_read(uint32_t offset, void *buf, uint32_t n);
int flash_write(uint32_t offset, const void *buf, uint32_t n);
int flash_erase(uint32_t sector);

enum reset_cause { CAUSE_POWER_ON = 0, CAUSE_WATCHDOG = 1, CAUSE_EXCEPTION = 2, CAUSE_SOFT_WATCHDOG = 3, CAUSE_SOFT = 4, CAUSE_DEEP_SLEEP = 5, CAUSE_EXTERNAL = 6 };
extern enum reset_cause reset_cause;
void reset_start(void);
void system_restart(enum reset_cause cause) __attribute__((noreturn));

void port_collected(void);

// For measurements, in counts of the clock: asleep, and inside the ROM's flash functions, which here model a chip.
struct spent {
    uint64_t waiting, flash;
};
extern struct spent port_spent;

extern bool watchdog_by_hand; // machine.WDT() exists: only its feed() counts
void watchdog_start(void);
void watchdog_feed(void);
bool watchdog_is_lent(void);

void uart_start(void);
bool uart_has_input(void);
int uart_get(void); // -1: none

uint64_t time_us(void);            // since start
uint64_t rtc_us_since_epoch(void); // 2000-01-01
void rtc_set_us_since_epoch(uint64_t us);

const char *setting(const char *name); // NULL: not given
void settings_start(void);

bool ethernet_start(const uint8_t mac[6]);
uint32_t ethernet_receive(uint8_t *frame, uint32_t limit); // bytes, 0: none
bool ethernet_send(const uint8_t *frame, uint32_t n);
void wlan_start(void);
void wlan_poll(void);
uint32_t chip_id(void);

#endif
