// A slot's trailer: its last sector, an append-only list of 16-byte marks (SPEC.md, "Trailer").
// SPDX-License-Identifier: MIT
#ifndef OTA_TRAILER_H
#define OTA_TRAILER_H

#include "ota.h"

#define OTA_MARK_BYTES 16u

enum ota_mark_kind {
    OTA_MARK_STARTED = 'S',   // arg: artifact type; number: artifact bytes; tail: first 6 bytes of its digest
    OTA_MARK_PROGRESS = 'P',  // arg: step; number: bytes that are in flash, of the artifact and then of what a patch makes
    OTA_MARK_COMPLETE = 'C',  // number: sequence; tail: security counter, u32
    OTA_MARK_TRIED = 'T',     // arg: which trial, from 1
    OTA_MARK_CONFIRMED = 'Y', //
    OTA_MARK_REJECTED = 'X',  // number: reason, a positive error code
    OTA_MARK_REPORTED = 'R',  // the server knows of the rejection
};

enum ota_artifact_type { OTA_ARTIFACT_IMAGE = 0, OTA_ARTIFACT_PATCH = 1 };

struct ota_mark {
    uint8_t kind, arg;
    uint32_t number;
    uint8_t tail[6];
};

void ota_mark_encode(uint8_t out[OTA_MARK_BYTES], const struct ota_mark *m);
bool ota_mark_decode(struct ota_mark *m, const uint8_t in[OTA_MARK_BYTES]); // false: not a mark

// What a trailer says. Counts are of valid copies; a mark kept twice counts with one.
typedef struct {
    uint16_t places; // places read so far
    uint16_t next;   // first place after the last one that is not blank
    uint8_t started, complete, confirmed, rejected, reported; // copies, at most 255
    uint8_t tried;   // highest trial, 0 if none
    uint8_t artifact_type;
    uint8_t digest[6];
    uint32_t artifact_size;
    uint32_t progress; // bytes known to be in flash
    uint32_t sequence, counter;
    uint32_t reason;
} ota_trailer_t;

void ota_trailer_init(ota_trailer_t *t);

// Takes the next bytes of the trailer, a multiple of 16. Never fails: what is not a mark is passed over.
void ota_trailer_push(ota_trailer_t *t, const uint8_t *in, uint32_t n);

// Reads the trailer of the slot that ends at `end` (the trailer is the sector before it). A place that flash refuses to
// read is passed over: a cut inside a mark leaves such a one where cells have ECC. OTA_E_FLASH if no place can be read.
int ota_trailer_read(ota_trailer_t *t, const struct ota_io *io, uint32_t end) OTA_MUST_CHECK;

// Appends `copies` copies of a mark, each read back; a place that reads back wrong is left and the next one
// taken. Advances t->next and lets t know of the copies that stand. OTA_E_TRAILER_FULL when no place is left,
// OTA_E_FLASH when 4 places in a row fail.
int ota_trailer_append(ota_trailer_t *t, const struct ota_io *io, uint32_t end, const struct ota_mark *m, uint32_t copies) OTA_MUST_CHECK;

#endif
