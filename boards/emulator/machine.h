// The emulated ESP8266: what QEMU's lx60-nommu board has that the chip has not, and the chip's own registers.
// SPDX-License-Identifier: MIT
#ifndef MACHINE_H
#define MACHINE_H

#include <stdint.h>

#define REG32(address) (*(volatile uint32_t *)(address))

// The chip (shared/reference: register addresses of the datasheet). On the emulator these are plain RAM.
#define RTC_CONTROL REG32(0x60000700)     // bit 31: reset the chip
#define WDT_CONTROL REG32(0x60000900)     // bit 0: enabled
#define WDT_STAGE0 REG32(0x60000904)      // log2 of the first stage
#define WDT_STAGE1 REG32(0x60000908)      // log2 of the second stage
#define WDT_FEED REG32(0x60000914)        // write 0x73
#define WDT_FEED_KEY 0x73u
#define RTC_USER_MEMORY 0x60001200u       // 512 bytes that survive every reset but power-on
#define FLASH_WINDOW 0x40200000u          // 1 MiB of flash, executed in place
#define FLASH_BANK_BYTES 0x100000u

// The board underneath.
#define BOARD_HZ REG32(0x9D020004)
#define BOARD_RESET REG32(0x9D020010)
#define BOARD_RESET_KEY 0xDEADu
#define UART_DATA REG32(0x9D050020)
#define UART_IER REG32(0x9D050024)
#define UART_FCR REG32(0x9D050028)
#define UART_LCR REG32(0x9D05002C)
#define UART_FCR_START 0xC7u // FIFOs on and emptied; QEMU hands over up to 14 bytes at a time
#define UART_LCR_DIVISOR 0x83u
#define UART_LCR_8N1 0x03u
#define UART_LSR REG32(0x9D050034)
#define UART_LSR_DATA_READY 0x01u
#define UART_LSR_TX_EMPTY 0x20u
#define IRQ_UART 0u
#define IRQ_ETHERNET 1u
#define IRQ_TIMER 6u

// Semihosting. Numbers and the order of arguments are the Xtensa simulator's.
enum simcall {
    SIM_EXIT = 1, SIM_READ = 3, SIM_WRITE = 4, SIM_OPEN = 5, SIM_CLOSE = 6, SIM_LSEEK = 19,
    SIM_ARGC = 1000, SIM_ARGV_SIZE = 1001, SIM_ARGV = 1002, SIM_MEMSET = 1004,
};

static inline int simcall(int number, uint32_t a, uint32_t b, uint32_t c) {
    register int r2 __asm__("a2") = number;
    register uint32_t r3 __asm__("a3") = a;
    register uint32_t r4 __asm__("a4") = b;
    register uint32_t r5 __asm__("a5") = c;
    __asm__ volatile ("simcall" : "+r"(r2), "+r"(r3) : "r"(r4), "r"(r5) : "memory");
    return r2;
}

// Exit statuses of the machine.
enum { MACHINE_POWER_CUT = 10, MACHINE_MISUSE = 11, MACHINE_SETTINGS = 12 };

static inline uint32_t ccount(void) {
    uint32_t v;
    __asm__ volatile ("rsr %0, ccount" : "=a"(v));
    return v;
}

static inline uint32_t irq_lock(void) {
    uint32_t ps;
    __asm__ volatile ("rsil %0, 15" : "=a"(ps) :: "memory");
    return ps;
}

static inline void irq_unlock(uint32_t ps) {
    __asm__ volatile ("wsr %0, ps; rsync" :: "a"(ps) : "memory");
}

#endif
