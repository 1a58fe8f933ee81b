// UART0: received bytes wait in a ring filled by interrupt; when it is full, QEMU waits.
// SPDX-License-Identifier: MIT
#include "port.h"

#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "shared/runtime/interrupt_char.h"

#define RING_BYTES 512u // a power of two
#define IER_RECEIVE 1u

static uint8_t ring[RING_BYTES];
static volatile uint32_t put, got;

static void on_uart(void *arg, void *frame) {
    (void)arg, (void)frame;
    while (UART_LSR & UART_LSR_DATA_READY) {
        if (put - got == RING_BYTES) {
            UART_IER = 0;
            return;
        }
        uint8_t c = (uint8_t)UART_DATA;
        if (c == mp_interrupt_char) {
            mp_sched_keyboard_interrupt();
        } else {
            ring[put++ % RING_BYTES] = c;
        }
    }
}

void uart_start(void) {
    ets_isr_attach(IRQ_UART, on_uart, NULL);
    UART_IER = IER_RECEIVE;
    ets_isr_unmask(1u << IRQ_UART);
}

bool uart_has_input(void) {
    return put != got;
}

int uart_get(void) {
    if (put == got) {
        return -1;
    }
    int c = ring[got++ % RING_BYTES];
    UART_IER = IER_RECEIVE;
    return c;
}

int mp_hal_stdin_rx_chr(void) {
    for (;;) {
        int c = uart_get();
        if (c >= 0) {
            return c;
        }
        mp_event_wait_indefinite();
    }
}

uintptr_t mp_hal_stdio_poll(uintptr_t poll_flags) {
    uintptr_t ready = poll_flags & MP_STREAM_POLL_WR;
    if ((poll_flags & MP_STREAM_POLL_RD) && uart_has_input()) {
        ready |= MP_STREAM_POLL_RD;
    }
    return ready;
}

mp_uint_t mp_hal_stdout_tx_strn(const char *str, size_t len) {
    for (size_t i = 0; i < len; i++) {
        uart_tx_one_char((uint8_t)str[i]);
    }
    return len;
}
