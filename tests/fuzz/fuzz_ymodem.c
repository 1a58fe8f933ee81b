// libFuzzer target for the second boot's YMODEM receiver. Input: what a sender does, one step after the other:
// S or L, a number and the bytes of a block of 128 or 1024 (filled up with zeros, the check added); E, C: end, cancel; T: silence;
// anything else: that byte as it is.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdlib.h>

#include "norchip.h"
#include "second_boot.h"
#include "vectors.h"

#define SECTOR 2048u
#define SLOT (3 * SECTOR)
#define SILENCE 3u // time-outs before the sender counts as gone

static uint8_t cells[OTA_BOOT_SLOTS * SLOT];
static struct norchip chip;
static jmp_buf gone;
static const uint8_t *input;
static size_t left;
static uint8_t packet[3 + 1024 + 2];
static uint32_t packet_at, packet_bytes, silence;

static uint16_t check_of(const uint8_t *in, uint32_t n) { // CRC-16/XMODEM
    uint32_t crc = 0;
    for (; n > 0; n--) {
        crc ^= (uint32_t)*in++ << 8;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc << 1 ^ ((crc & 0x8000) != 0 ? 0x1021u : 0);
        }
    }
    return (uint16_t)crc;
}

static uint8_t take(void) {
    if (left == 0) {
        return 0;
    }
    left--;
    return *input++;
}

static void make_block(uint8_t head, uint32_t n) {
    packet[0] = head;
    packet[1] = take();
    packet[2] = (uint8_t)~packet[1];
    for (uint32_t i = 0; i < n; i++) {
        packet[3 + i] = take();
    }
    const uint16_t check = check_of(packet + 3, n);
    packet[3 + n] = (uint8_t)(check >> 8);
    packet[4 + n] = (uint8_t)check;
    packet_at = 0;
    packet_bytes = n + 5;
}

int second_boot_get(uint32_t ms) {
    (void)ms;
    if (packet_at < packet_bytes) {
        return packet[packet_at++];
    }
    if (left == 0) {
        if (++silence > SILENCE) {
            longjmp(gone, 1);
        }
        return -1;
    }
    const uint8_t step = take();
    switch (step) {
        case 'S':
            make_block(1, 128);
            return packet[packet_at++];
        case 'L':
            make_block(2, 1024);
            return packet[packet_at++];
        case 'E':
            return 4;
        case 'C':
            return 0x18;
        case 'T':
            return -1;
        default:
            return step;
    }
}

bool second_boot_can_start(const struct ota_boot_choice *choice) {
    return choice->payload_size > 0;
}

void second_boot_put(uint8_t c) {
    (void)c;
}

// second_boot.h declares these constant; sim's simboot.c is what defines them here.
#include "simboot.h"

static const struct ota_key key = {v_key, sizeof(v_key)};
static const struct ota_boot_config config = {
    .slots = {{0, SLOT}, {SLOT, SLOT}}, .tries = 3,
    .trust = {.keys = &key, .key_count = 1, .vendor_id = v_vendor, .class_id = v_class},
};

static bool is_signed(const uint8_t *bytes) {
    ota_image_t image;
    ota_rsa_work_t rsa;
    ota_image_init(&image, SLOT - SECTOR);
    return ota_image_push(&image, bytes, SLOT - SECTOR) > 0 && ota_image_finish(&image, NULL, &config.trust, &rsa) == OTA_OK;
}

static void receive(const uint8_t *before) {
    ota_boot_t *work = malloc(sizeof(*work));
    memset(work, 0, sizeof(*work));
    work->trailer[1].complete = work->trailer[1].confirmed = 2; // slot B runs: A is the one to write
    work->trailer[1].sequence = 7;
    if (setjmp(gone) == 0) {
        second_boot_console(work);
    }
    ota_trailer_t trailer;
    if (ota_trailer_read(&trailer, &second_boot_flash, SLOT) != OTA_OK || (trailer.complete > 0 && !is_signed(cells))) {
        abort(); // installed what nobody signed
    }
    if (chip.misuses > 0 || memcmp(cells + SLOT, before, SLOT) != 0) {
        abort(); // broke the chip's rules, or wrote to the slot that runs
    }
    free(work);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static uint8_t before[SLOT];
    struct ota_io io;
    memset(cells, 0xff, sizeof(cells));
    memset(before, 0xff, sizeof(before));
    norchip_init(&chip, cells, sizeof(cells), SECTOR);
    norchip_io(&chip, &io);
    simboot_set(&io, &config);
    input = data;
    left = n;
    packet_at = packet_bytes = silence = 0;
    receive(before);
    return 0;
}
