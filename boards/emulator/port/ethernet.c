// OpenCores Ethernet MAC: one transmit buffer, the others receive. Stands in for the radio.
// SPDX-License-Identifier: MIT
#include "port.h"

#include <string.h>

#define REG(n) REG32(0x9D030000 + 4 * (n))
enum { MODER = 0, INT_SOURCE = 1, INT_MASK = 2, PACKET_LENGTH = 6, TX_BD_NUM = 8, MAC0 = 16, MAC1 = 17 };
enum { MODER_RX = 1, MODER_TX = 2, MODER_PROMISCUOUS = 0x20, MODER_FULL_DUPLEX = 0x400, MODER_CRC = 0x2000, MODER_PAD = 0x8000 };
enum { INT_TX = 1, INT_RX = 4, INT_BUSY = 0x10, INT_ALL = 0x7f };

struct descriptor { volatile uint32_t status, address; };
#define DESCRIPTORS ((struct descriptor *)0x9D030400)
enum { TX_READY = 0x8000, TX_IRQ = 0x4000, TX_WRAP = 0x2000, TX_PAD = 0x1000, TX_CRC = 0x800 };
enum { RX_EMPTY = 0x8000, RX_IRQ = 0x4000, RX_WRAP = 0x2000, RX_ERRORS = 0x7f };

#define BUFFERS 0x9D800000u
#define BUFFER_BYTES 1536u
#define RECEIVERS 8u
#define FCS_BYTES 4u

static uint32_t next_receiver;

static void on_receive(void *arg, void *frame) {
    (void)arg, (void)frame;
    REG(INT_SOURCE) = INT_ALL; // it has ended the sleep; the frame is fetched by polling
}

// A reset makes QEMU's MAC forget its interrupt and leaves the line to the processor up; nobody could acknowledge it.
// An interrupt of our own, for a frame of a type that nobody knows, takes the line down with it.
static void lower_line(const uint8_t mac[6]) {
    static const uint8_t nobody[2] = {0x88, 0xb5};
    uint8_t *frame = (uint8_t *)BUFFERS;
    memset(frame, 0xff, 6);
    memcpy(frame + 6, mac, 6);
    memcpy(frame + 12, nobody, 2);
    REG(INT_MASK) = INT_TX;
    REG(MODER) = MODER_TX | MODER_PAD | MODER_CRC;
    DESCRIPTORS[0].status = 14u << 16 | TX_READY | TX_IRQ | TX_WRAP | TX_PAD | TX_CRC;
    REG(INT_SOURCE) = INT_ALL;
    REG(MODER) = 0;
}

bool ethernet_start(const uint8_t mac[6]) {
    REG(MODER) = 0;
    REG(INT_SOURCE) = INT_ALL;
    REG(TX_BD_NUM) = 1;
    DESCRIPTORS[0] = (struct descriptor){TX_WRAP, BUFFERS};
    for (uint32_t i = 1; i <= RECEIVERS; i++) {
        DESCRIPTORS[i].address = BUFFERS + i * BUFFER_BYTES;
        DESCRIPTORS[i].status = RX_EMPTY | RX_IRQ | (i == RECEIVERS ? RX_WRAP : 0);
    }
    next_receiver = 1;
    lower_line(mac);
    REG(MAC0) = (uint32_t)mac[2] << 24 | (uint32_t)mac[3] << 16 | (uint32_t)mac[4] << 8 | mac[5];
    REG(MAC1) = (uint32_t)mac[0] << 8 | mac[1];
    ets_isr_attach(IRQ_ETHERNET, on_receive, NULL);
    ets_isr_unmask(1u << IRQ_ETHERNET);
    REG(INT_MASK) = INT_RX;
    REG(MODER) = MODER_RX | MODER_TX | MODER_FULL_DUPLEX | MODER_CRC | MODER_PAD;
    return REG(MAC1) == ((uint32_t)mac[0] << 8 | mac[1]);
}

uint32_t ethernet_receive(uint8_t *frame, uint32_t limit) {
    struct descriptor *d = &DESCRIPTORS[next_receiver];
    uint32_t status = d->status;
    if (status & RX_EMPTY) {
        return 0;
    }
    uint32_t n = (status >> 16) - FCS_BYTES;
    if (n > limit || (status & RX_ERRORS)) {
        n = 0;
    }
    memcpy(frame, (const void *)d->address, n);
    d->status = RX_EMPTY | RX_IRQ | (next_receiver == RECEIVERS ? RX_WRAP : 0);
    next_receiver = next_receiver == RECEIVERS ? 1 : next_receiver + 1;
    return n;
}

bool ethernet_send(const uint8_t *frame, uint32_t n) {
    if (n > BUFFER_BYTES || (DESCRIPTORS[0].status & TX_READY)) {
        return false;
    }
    memcpy((void *)BUFFERS, frame, n);
    DESCRIPTORS[0].status = n << 16 | TX_READY | TX_WRAP | TX_PAD | TX_CRC;
    return true;
}
