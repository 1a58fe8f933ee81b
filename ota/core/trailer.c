// Marks and the trailer they stand in (SPEC.md, "Trailer").
// SPDX-License-Identifier: MIT
#include "trailer.h"

#define CHUNK_BYTES 128u // divides every sector
#define MAX_FAILURES 4u

// CRC-32 (ISO-HDLC), four bits at a time.
static uint32_t crc32(const uint8_t *p, uint32_t n) {
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    uint32_t crc = 0xffffffff;
    for (; n > 0; n--) {
        crc ^= *p++;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

void ota_mark_encode(uint8_t out[OTA_MARK_BYTES], const struct ota_mark *m) {
    out[0] = m->kind;
    out[1] = m->arg;
    ota_put_le32(out + 2, m->number);
    memcpy(out + 6, m->tail, sizeof(m->tail));
    ota_put_le32(out + 12, crc32(out, 12));
}

bool ota_mark_decode(struct ota_mark *m, const uint8_t in[OTA_MARK_BYTES]) {
    m->kind = in[0];
    m->arg = in[1];
    m->number = ota_get_le32(in + 2);
    memcpy(m->tail, in + 6, sizeof(m->tail));
    switch (m->kind) {
        case OTA_MARK_STARTED:
        case OTA_MARK_PROGRESS:
        case OTA_MARK_COMPLETE:
        case OTA_MARK_TRIED:
        case OTA_MARK_CONFIRMED:
        case OTA_MARK_REJECTED:
        case OTA_MARK_REPORTED:
            return ota_get_le32(in + 12) == crc32(in, 12);
        default:
            return false;
    }
}

void ota_trailer_init(ota_trailer_t *t) {
    memset(t, 0, sizeof(*t));
}

// Counts one more copy; true for the first, whose contents are the ones that count.
static bool first(uint8_t *copies) {
    if (*copies < UINT8_MAX) {
        *copies = (uint8_t)(*copies + 1);
    }
    return *copies == 1;
}

static void learn(ota_trailer_t *t, const struct ota_mark *m) {
    switch (m->kind) {
        case OTA_MARK_STARTED:
            if (first(&t->started)) {
                t->artifact_type = m->arg;
                t->artifact_size = m->number;
                memcpy(t->digest, m->tail, sizeof(t->digest));
            }
            break;
        case OTA_MARK_PROGRESS:
            t->progress = m->number > t->progress ? m->number : t->progress;
            break;
        case OTA_MARK_COMPLETE:
            if (first(&t->complete)) {
                t->sequence = m->number;
                t->counter = ota_get_le32(m->tail);
            }
            break;
        case OTA_MARK_TRIED:
            t->tried = m->arg > t->tried ? m->arg : t->tried;
            break;
        case OTA_MARK_CONFIRMED:
            (void)first(&t->confirmed);
            break;
        case OTA_MARK_REJECTED:
            if (first(&t->rejected)) {
                t->reason = m->number;
            }
            break;
        default:
            (void)first(&t->reported);
            break;
    }
}

static bool is_blank(const uint8_t in[OTA_MARK_BYTES]) {
    uint32_t i = 0;
    while (i < OTA_MARK_BYTES && in[i] == 0xff) {
        i++;
    }
    return i == OTA_MARK_BYTES;
}

void ota_trailer_push(ota_trailer_t *t, const uint8_t *in, uint32_t n) {
    for (; n >= OTA_MARK_BYTES; n -= OTA_MARK_BYTES, in += OTA_MARK_BYTES) {
        struct ota_mark m;
        t->places++;
        if (is_blank(in)) {
            continue;
        }
        t->next = t->places;
        if (ota_mark_decode(&m, in)) {
            learn(t, &m);
        }
    }
}

// A place that cannot be read (ECC) is in use and no mark. False if none of the chunk's can.
static bool read_places(ota_trailer_t *t, const struct ota_io *io, uint32_t at) {
    uint32_t place[OTA_MARK_BYTES / 4];
    bool any = false;
    for (uint32_t end = at + CHUNK_BYTES; at < end; at += OTA_MARK_BYTES) {
        if (io->read(io->ctx, at, place, OTA_MARK_BYTES) == 0) {
            any = true;
        } else {
            memset(place, 0, sizeof(place));
        }
        ota_trailer_push(t, (const uint8_t *)place, OTA_MARK_BYTES);
    }
    return any;
}

int ota_trailer_read(ota_trailer_t *t, const struct ota_io *io, uint32_t end) {
    bool any = false;
    ota_trailer_init(t);
    for (uint32_t at = end - io->sector; at < end; at += CHUNK_BYTES) {
        uint32_t chunk[CHUNK_BYTES / 4];
        if (io->read(io->ctx, at, chunk, CHUNK_BYTES) == 0) {
            any = true;
            ota_trailer_push(t, (const uint8_t *)chunk, CHUNK_BYTES);
        } else if (read_places(t, io, at)) {
            any = true;
        }
    }
    return any ? OTA_OK : OTA_E_FLASH;
}

static bool write_place(const struct ota_io *io, uint32_t offset, const uint32_t place[OTA_MARK_BYTES / 4]) {
    uint32_t back[OTA_MARK_BYTES / 4];
    return io->write(io->ctx, offset, place, OTA_MARK_BYTES) == 0 &&
           io->read(io->ctx, offset, back, OTA_MARK_BYTES) == 0 &&
           memcmp(place, back, OTA_MARK_BYTES) == 0;
}

int ota_trailer_append(ota_trailer_t *t, const struct ota_io *io, uint32_t end, const struct ota_mark *m, uint32_t copies) {
    uint32_t place[OTA_MARK_BYTES / 4];
    ota_mark_encode((uint8_t *)place, m);
    for (uint32_t failures = 0; copies > 0;) {
        uint32_t at = t->next * OTA_MARK_BYTES;
        if (at >= io->sector) {
            return OTA_E_TRAILER_FULL;
        }
        t->next++;
        if (write_place(io, end - io->sector + at, place)) {
            learn(t, m);
            copies--;
            failures = 0;
        } else if (++failures == MAX_FAILURES) {
            return OTA_E_FLASH;
        }
    }
    return OTA_OK;
}
