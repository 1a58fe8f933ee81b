// UART0 and formatted output on it.
// SPDX-License-Identifier: MIT
#include "rom.h"

#include <stdarg.h>

#define PLL_BLOCK 103u
#define PLL_DEFAULT 8u
#define PLL_26MHZ 136u
#define CLOCK_HZ 80000000u
#define CLOCK_AT_RESET_HZ 52000000u // of a 26 MHz crystal: the ROM takes it for one of 40 MHz
#define BAUD 115200u                // the host's

static void (*putc1)(char c);
static uint32_t divisor; // 0: the ROM's own; its messages are sent as if it knew the crystal

uint8_t rom_i2c_readReg(uint8_t block, uint8_t host, uint8_t reg) {
    (void)host;
    return block == PLL_BLOCK && reg == 1 ? (emulator.pll ? PLL_26MHZ : PLL_DEFAULT) : 0;
}

void rom_i2c_writeReg(uint8_t block, uint8_t host, uint8_t reg, uint8_t data) {
    (void)host;
    if (block == PLL_BLOCK && reg == 1) {
        emulator.pll = data == PLL_26MHZ;
    }
}

// What is framed at another speed than the host's, off by more than 3 %, arrives as something else.
static uint8_t framed(uint8_t c) {
    uint32_t baud = divisor ? (emulator.pll ? CLOCK_HZ : CLOCK_AT_RESET_HZ) / divisor : BAUD;
    return baud > BAUD - BAUD / 32 && baud < BAUD + BAUD / 32 ? c : c ^ 0x55;
}

void uart_start(void) {
    divisor = 0;
    UART_LCR = UART_LCR_DIVISOR; // 115200 baud, which decides how soon the last bytes of a burst are reported
    UART_DATA = 1;
    UART_IER = 0;
    UART_LCR = UART_LCR_8N1;
    UART_FCR = UART_FCR_START;
}

int uart_tx_one_char(uint8_t c) {
    while (!(UART_LSR & UART_LSR_TX_EMPTY)) {
    }
    UART_DATA = framed(c);
    return 0;
}

int uart_rx_one_char(uint8_t *c) {
    if (!(UART_LSR & UART_LSR_DATA_READY)) {
        return 1;
    }
    *c = framed((uint8_t)UART_DATA);
    return 0;
}

uint8_t uart_rx_one_char_block(void) {
    uint8_t c;
    while (uart_rx_one_char(&c)) {
    }
    return c;
}

void uart_div_modify(uint32_t uart, uint32_t new_divisor) {
    (void)uart;
    divisor = new_divisor;
    UART_FCR = UART_FCR_START;
}

void Uart_Init(uint32_t uart) {
    (void)uart;
}

void uartAttach(void) {
}

void ets_putc(char c) {
    if (putc1) {
        putc1(c);
    } else {
        if (c == '\n') {
            uart_tx_one_char('\r');
        }
        uart_tx_one_char((uint8_t)c);
    }
}

void ets_install_putc1(void (*out)(char c)) {
    putc1 = out;
}

void ets_install_uart_printf(void) {
    putc1 = NULL;
}

static int put_number(uint32_t v, uint32_t base, bool negative, int width, char pad) {
    char text[12];
    int n = 0, out = 0;
    do {
        uint32_t digit = v % base;
        text[n++] = (char)(digit < 10 ? '0' + digit : 'a' + digit - 10);
        v /= base;
    } while (v);
    if (negative) {
        text[n++] = '-';
    }
    for (; out + n < width; out++) {
        ets_putc(pad);
    }
    for (out += n; n;) {
        ets_putc(text[--n]);
    }
    return out;
}

static int put_string(const char *s) {
    int n = 0;
    for (s = s ? s : "(null)"; *s; s++, n++) {
        ets_putc(*s);
    }
    return n;
}

int ets_vprintf(const char *format, va_list args) {
    int n = 0;
    for (; *format; format++) {
        if (*format != '%') {
            ets_putc(*format);
            n++;
            continue;
        }
        char pad = *++format == '0' ? '0' : ' ';
        int width = 0;
        for (; *format >= '0' && *format <= '9'; format++) {
            width = width * 10 + *format - '0';
        }
        while (*format == 'l') {
            format++;
        }
        if (*format == 'd') {
            int v = va_arg(args, int);
            n += put_number(v < 0 ? -(uint32_t)v : (uint32_t)v, 10, v < 0, width, pad);
        } else if (*format == 'u') {
            n += put_number(va_arg(args, uint32_t), 10, false, width, pad);
        } else if (*format == 'x' || *format == 'X' || *format == 'p') {
            n += put_number(va_arg(args, uint32_t), 16, false, width, pad);
        } else if (*format == 's') {
            n += put_string(va_arg(args, const char *));
        } else if (*format == 'c') {
            ets_putc((char)va_arg(args, int));
            n++;
        } else {
            ets_putc(*format);
            n++;
        }
    }
    return n;
}

int ets_printf(const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = ets_vprintf(format, args);
    va_end(args);
    return n;
}
