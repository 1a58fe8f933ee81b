// Serial recovery: a YMODEM receiver that writes to a slot.
// SPDX-License-Identifier: MIT
#include "second_boot.h"

enum { SOH = 0x01, STX = 0x02, EOT = 0x04, ACK = 0x06, NAK = 0x15, CAN = 0x18, CRC_REQUEST = 'C' };
enum { SMALL_BLOCK = 128, LARGE_BLOCK = 1024 };
enum packet { PACKET_NONE, PACKET_BAD, PACKET_DATA, PACKET_END, PACKET_CANCEL };

#define KEY 'w'
#define WINDOW_MS 100u
#define BYTE_MS 1000u
#define POLL_MS 1000u
#define QUIET_MS 60000u // of silence
#define STRAY_MS 20u // and so much for a byte that begins no packet: a spoilt packet of 1 KiB must not end a transfer

static uint32_t block[LARGE_BLOCK / 4]; // words: flash takes aligned buffers only
static uint32_t block_bytes;
static uint8_t block_number;

static void say(const char *text) {
    while (*text) {
        second_boot_put((uint8_t)*text++);
    }
}

// "1007": an error code, for the table in SPEC.md.
static void say_code(int code) {
    uint32_t v = (uint32_t)-code;
    for (uint32_t unit = 1000; unit > 0; unit /= 10) {
        second_boot_put((uint8_t)('0' + v / unit % 10));
    }
    say("\r\n");
}

static uint16_t crc16(const uint8_t *in, uint32_t n) { // CRC-16/XMODEM
    uint32_t crc = 0;
    while (n-- > 0) {
        crc ^= (uint32_t)*in++ << 8;
        for (uint32_t bit = 0; bit < 8; bit++) {
            crc = (crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021u : 0);
        }
    }
    return (uint16_t)crc;
}

// The rest of a packet after SOH or STX.
static enum packet receive_block(uint32_t n) {
    int number = second_boot_get(BYTE_MS);
    int inverse = second_boot_get(BYTE_MS);
    uint8_t *bytes = (uint8_t *)block;
    for (uint32_t i = 0; i < n; i++) {
        int c = second_boot_get(BYTE_MS);
        if (c < 0) {
            return PACKET_NONE;
        }
        bytes[i] = (uint8_t)c;
    }
    int high = second_boot_get(BYTE_MS);
    int low = second_boot_get(BYTE_MS);
    if (number < 0 || number + inverse != 255 || high < 0 || low < 0 || crc16(bytes, n) != (high << 8 | low)) {
        return PACKET_BAD;
    }
    block_number = (uint8_t)number;
    block_bytes = n;
    return PACKET_DATA;
}

static enum packet receive(void) {
    switch (second_boot_get(POLL_MS)) {
        case SOH:
            return receive_block(SMALL_BLOCK);
        case STX:
            return receive_block(LARGE_BLOCK);
        case EOT:
            return PACKET_END;
        case CAN:
            return PACKET_CANCEL;
        case -1:
            return PACKET_NONE;
        default:
            return PACKET_BAD;
    }
}

// Before a trailer is erased, the marks that could be read back from a half-erased sector go (SPEC.md, section 2).
static int clear_trailer(const struct ota_slot *slot) {
    const struct ota_io *io = &second_boot_flash;
    static const uint32_t zeros[OTA_MARK_BYTES / 4];
    uint32_t place[OTA_MARK_BYTES / 4];
    uint32_t end = slot->offset + slot->size;
    for (uint32_t at = end - io->sector; at < end; at += OTA_MARK_BYTES) {
        struct ota_mark m;
        // A place that cannot be read may be such a mark on another day. One that cannot be written is no reason to stop.
        if (io->read(io->ctx, at, place, OTA_MARK_BYTES) != 0 ||
            (ota_mark_decode(&m, (const uint8_t *)place) &&
             (m.kind == OTA_MARK_STARTED || m.kind == OTA_MARK_COMPLETE || m.kind == OTA_MARK_CONFIRMED))) {
            (void)!io->write(io->ctx, at, zeros, OTA_MARK_BYTES);
        }
    }
    return io->erase(io->ctx, end - io->sector, io->sector);
}

// Appends the block to the slot, erasing each sector as it is reached.
static int store(const struct ota_slot *slot, uint32_t position) {
    const struct ota_io *io = &second_boot_flash;
    if (block_bytes > slot->size - io->sector - position) {
        return OTA_E_SIZE;
    }
    uint32_t next_sector = (position + io->sector - 1) / io->sector * io->sector;
    if (next_sector < position + block_bytes && io->erase(io->ctx, slot->offset + next_sector, io->sector) != 0) {
        return OTA_E_FLASH;
    }
    return io->write(io->ctx, slot->offset + position, block, block_bytes);
}

// The file's size as block 0 announces it behind the name; 0 if it does not.
static uint32_t announced_size(void) {
    const uint8_t *p = (const uint8_t *)block, *end = p + block_bytes;
    uint32_t size = 0;
    while (p < end && *p != 0) {
        p++;
    }
    for (p++; p < end && *p >= '0' && *p <= '9' && size < UINT32_MAX / 10 - 1; p++) {
        size = size * 10 + (uint32_t)(*p - '0');
    }
    return size;
}

static void cancel(void) {
    second_boot_put(CAN);
    second_boot_put(CAN);
}

// One file into the slot. The number of bytes received, or a negative error; 0: the sender gave up, or there is none.
static int32_t receive_file(const struct ota_slot *slot) {
    uint32_t position = 0, quiet_ms = 0;
    uint8_t expected = 0;
    bool begun = false, ended = false;
    for (;;) {
        enum packet p = receive();
        quiet_ms = p == PACKET_DATA ? 0 : quiet_ms + (p == PACKET_NONE ? POLL_MS : STRAY_MS);
        if (quiet_ms >= QUIET_MS) {
            return 0;
        }
        if (p == PACKET_NONE && !begun) {
            second_boot_put(CRC_REQUEST);
        } else if (p == PACKET_NONE || p == PACKET_BAD) {
            second_boot_put(NAK);
        } else if (p == PACKET_CANCEL) {
            return 0;
        } else if (p == PACKET_END) {
            ended = true;
            begun = false;
            expected = 0;
            second_boot_put(ACK);
            second_boot_put(CRC_REQUEST);
        } else if (expected == 0 && !begun) { // block 0: the name, empty behind the last file
            second_boot_put(ACK);
            if (((const uint8_t *)block)[0] == 0) {
                return ended ? (int32_t)position : 0;
            }
            bool fits = !ended && announced_size() <= slot->size - second_boot_flash.sector;
            int r = fits ? clear_trailer(slot) : OTA_E_SIZE;
            if (r != OTA_OK) {
                cancel();
                return r;
            }
            begun = true;
            expected = 1;
            second_boot_put(CRC_REQUEST);
        } else if (block_number == (uint8_t)(expected - 1)) { // our answer was lost
            second_boot_put(ACK);
        } else if (block_number != expected) {
            cancel();
            return OTA_E_SIZE;
        } else {
            int r = store(slot, position);
            if (r != OTA_OK) {
                cancel();
                return r;
            }
            position += block_bytes;
            expected++;
            second_boot_put(ACK);
        }
    }
}

static bool is_confirmed(const ota_trailer_t *t) {
    return t->complete > 0 && t->confirmed > 0 && t->rejected == 0;
}

// The newest confirmed slot, or OTA_BOOT_SLOTS.
static uint8_t newest_confirmed(const ota_trailer_t *t) {
    uint8_t newest = OTA_BOOT_SLOTS;
    for (uint8_t i = 0; i < OTA_BOOT_SLOTS; i++) {
        if (is_confirmed(&t[i]) && (newest == OTA_BOOT_SLOTS || t[i].sequence > t[newest].sequence)) {
            newest = i;
        }
    }
    return newest;
}

static int verify(ota_boot_t *b, const struct ota_slot *slot, uint32_t floor) {
    const struct ota_io *io = &second_boot_flash;
    struct ota_trust trust = second_boot_config.trust;
    trust.min_counter = floor;
    ota_image_init(&b->image, slot->size - io->sector);
    for (uint32_t at = 0; at < slot->size - io->sector && !ota_image_complete(&b->image); at += sizeof(b->chunk)) {
        if (io->read(io->ctx, slot->offset + at, b->chunk, sizeof(b->chunk)) != 0) {
            return OTA_E_FLASH;
        }
        int32_t r = ota_image_push(&b->image, (const uint8_t *)b->chunk, sizeof(b->chunk));
        if (r < 0) {
            return (int)r;
        }
        io->feed(io->ctx);
    }
    if ((b->image.info.flags & OTA_IMAGE_FLAG_NON_BOOTABLE) != 0) {
        return OTA_E_HEADER;
    }
    return ota_image_finish(&b->image, io, &trust, &b->rsa);
}

// What was just verified must be loadable too: confirmed, it would stand before every other image.
static bool can_start(const ota_boot_t *b, const struct ota_slot *slot) {
    const struct ota_boot_choice choice = {
        .offset = slot->offset + b->image.info.header_size, .payload_size = b->image.info.payload_size,
    };
    return second_boot_can_start(&choice);
}

static int mark_installed(ota_boot_t *b, const struct ota_slot *slot, uint32_t sequence) {
    ota_trailer_t t;
    struct ota_mark m = {.kind = OTA_MARK_COMPLETE, .number = sequence};
    ota_put_le32(m.tail, b->image.info.counter);
    ota_trailer_init(&t);
    int r = ota_trailer_append(&t, &second_boot_flash, slot->offset + slot->size, &m, 2);
    if (r == OTA_OK) {
        m = (struct ota_mark){.kind = OTA_MARK_CONFIRMED};
        r = ota_trailer_append(&t, &second_boot_flash, slot->offset + slot->size, &m, 2);
    }
    return r;
}

bool second_boot_console_wanted(void) {
    return second_boot_get(WINDOW_MS) == KEY;
}

void second_boot_console(ota_boot_t *b) {
    uint8_t confirmed = newest_confirmed(b->trailer);
    uint8_t target = confirmed == 0 ? 1 : 0;
    uint32_t floor = confirmed == OTA_BOOT_SLOTS ? 0 : b->trailer[confirmed].counter;
    uint32_t sequence = 1 + (b->trailer[0].sequence > b->trailer[1].sequence ? b->trailer[0].sequence : b->trailer[1].sequence);
    const struct ota_slot *slot = &second_boot_config.slots[target];
    say("\r\nmpota: send an image by YMODEM, for slot ");
    second_boot_put((uint8_t)('A' + target));
    say("\r\n");
    int32_t r = receive_file(slot);
    if (r == 0) {
        return;
    }
    if (r > 0) {
        r = verify(b, slot, floor);
    }
    if (r == OTA_OK) {
        r = can_start(b, slot) ? mark_installed(b, slot, sequence) : OTA_E_HEADER;
    }
    say(r == OTA_OK ? "\r\nmpota: installed\r\n" : "\r\nmpota: refused, ");
    if (r != OTA_OK) {
        say_code((int)r);
    }
}
