// The second boot's decision: reads as the table in DESIGN.md, "Second boot".
// SPDX-License-Identifier: MIT
#include "boot.h"

#define DEFAULT_TRIES 3u
#define REASON_TRIES 1090u // SPEC.md, "Error codes": not confirmed in its trials
#define NONE OTA_BOOT_SLOTS

// What one decision works with; lives on the stack of ota_boot_choose.
struct boot {
    ota_boot_t *b;
    const struct ota_io *io;
    const struct ota_boot_config *c;
    struct ota_trust trust; // with the floor as its min_counter
    uint8_t newest;         // newest confirmed slot, or NONE
};

static bool is_confirmed(const ota_trailer_t *t) {
    return t->complete > 0 && t->confirmed > 0 && t->rejected == 0;
}

static uint32_t end_of(const struct boot *s, uint8_t slot) {
    return s->c->slots[slot].offset + s->c->slots[slot].size;
}

static int append(const struct boot *s, uint8_t slot, const struct ota_mark *m, uint32_t copies) {
    return ota_trailer_append(&s->b->trailer[slot], s->io, end_of(s, slot), m, copies);
}

// A failure is not fatal: the slot is then looked at again at the next boot.
static void reject(const struct boot *s, uint8_t slot, uint32_t reason) {
    const struct ota_mark m = {.kind = OTA_MARK_REJECTED, .number = reason};
    (void)!append(s, slot, &m, 2);
}

// A mark kept twice of which one copy is left gets the other. A failure is not fatal: one copy counts too.
static void mend(const struct boot *s, uint8_t slot) {
    const ota_trailer_t *t = &s->b->trailer[slot];
    if (t->complete == 1) {
        struct ota_mark m = {.kind = OTA_MARK_COMPLETE, .number = t->sequence};
        ota_put_le32(m.tail, t->counter);
        (void)!append(s, slot, &m, 1);
    }
    if (t->confirmed == 1) {
        const struct ota_mark m = {.kind = OTA_MARK_CONFIRMED};
        (void)!append(s, slot, &m, 1);
    }
    if (t->rejected == 1) {
        const struct ota_mark m = {.kind = OTA_MARK_REJECTED, .number = t->reason};
        (void)!append(s, slot, &m, 1);
    }
}

static int read_trailers(const struct boot *s) {
    uint8_t failures = 0;
    for (uint8_t slot = 0; slot < OTA_BOOT_SLOTS; slot++) {
        ota_trailer_t *t = &s->b->trailer[slot];
        const uint32_t end = end_of(s, slot);
        if (ota_trailer_read(t, s->io, end) == OTA_OK || ota_trailer_read(t, s->io, end) == OTA_OK) {
            mend(s, slot);
        } else {
            ota_trailer_init(t); // no mark speaks for it: rule 3 is left
            failures++;
        }
    }
    return failures == OTA_BOOT_SLOTS ? OTA_E_FLASH : OTA_OK;
}

static uint8_t newest_confirmed(const ota_boot_t *b) {
    uint8_t newest = NONE;
    for (uint8_t slot = 0; slot < OTA_BOOT_SLOTS; slot++) {
        const ota_trailer_t *t = &b->trailer[slot];
        if (is_confirmed(t) && (newest == NONE || t->sequence > b->trailer[newest].sequence)) {
            newest = slot;
        }
    }
    return newest;
}

// Reads the slot's image up to `stop` bytes or its end.
static int read_image(const struct boot *s, uint8_t slot, uint32_t stop) {
    const struct ota_slot *at = &s->c->slots[slot];
    ota_image_t *image = &s->b->image;
    ota_image_init(image, at->size - s->io->sector);
    for (uint32_t done = 0; done < stop && !ota_image_complete(image);) {
        uint32_t n = stop - done < sizeof(s->b->chunk) ? stop - done : (uint32_t)sizeof(s->b->chunk);
        if (s->io->read(s->io->ctx, at->offset + done, s->b->chunk, n) != 0) {
            return OTA_E_FLASH;
        }
        int32_t r = ota_image_push(image, (const uint8_t *)s->b->chunk, n);
        if (r < 0) {
            return r;
        }
        done += n;
        if (s->io->feed != NULL) {
            s->io->feed(s->io->ctx);
        }
    }
    return (image->info.flags & OTA_IMAGE_FLAG_NON_BOOTABLE) != 0 ? OTA_E_HEADER : OTA_OK;
}

static bool is_loadable(const struct boot *s, uint8_t slot) {
    return (s->c->unloadable >> slot & 1u) == 0;
}

// Everything: hash, ids, counter against the floor, key, signature.
static int verify(const struct boot *s, uint8_t slot) {
    int r = read_image(s, slot, s->c->slots[slot].size - s->io->sector);
    return r == OTA_OK ? ota_image_finish(&s->b->image, s->io, &s->trust, &s->b->rsa) : r;
}

// A trial's complete mark must carry the signed counter: the floor is read from it later.
static int verify_trial(const struct boot *s, uint8_t slot) {
    int r = verify(s, slot);
    if (r == OTA_OK && s->b->image.info.counter != s->b->trailer[slot].counter) {
        return OTA_E_COUNTER;
    }
    return r;
}

static bool start(const struct boot *s, uint8_t slot, enum ota_boot_how how, struct ota_boot_choice *choice) {
    choice->how = how;
    choice->slot = slot;
    choice->trial = how == OTA_BOOT_TRIAL ? s->b->trailer[slot].tried : 0;
    choice->offset = s->c->slots[slot].offset + s->b->image.info.header_size;
    choice->payload_size = s->b->image.info.payload_size;
    return true;
}

static bool is_candidate(const struct boot *s, uint8_t slot) {
    const ota_trailer_t *t = &s->b->trailer[slot];
    return t->complete > 0 && t->rejected == 0 && t->confirmed == 0 &&
           (s->newest == NONE || t->sequence > s->b->trailer[s->newest].sequence);
}

// A trial is recorded before it is started, or not started.
static bool try_slot(const struct boot *s, uint8_t slot, struct ota_boot_choice *choice) {
    const uint8_t tries = s->c->tries != 0 ? s->c->tries : DEFAULT_TRIES;
    const uint8_t tried = s->b->trailer[slot].tried;
    if (tried >= tries) {
        reject(s, slot, REASON_TRIES);
        return false;
    }
    int r = verify_trial(s, slot);
    if (r != OTA_OK) {
        r = verify_trial(s, slot); // a rejection is for good, and flash may have read wrong once
    }
    if (r != OTA_OK) {
        reject(s, slot, (uint32_t)-r);
        return false;
    }
    const struct ota_mark m = {.kind = OTA_MARK_TRIED, .arg = (uint8_t)(tried + 1)};
    return append(s, slot, &m, 1) == OTA_OK && start(s, slot, OTA_BOOT_TRIAL, choice);
}

// Rule 1: a complete slot newer than the confirmed one, the newest first.
static bool choose_trial(const struct boot *s, struct ota_boot_choice *choice) {
    const ota_trailer_t *t = s->b->trailer;
    const uint8_t first = t[1].sequence > t[0].sequence;
    for (uint8_t i = 0; i < OTA_BOOT_SLOTS; i++) {
        const uint8_t slot = i ^ first;
        if (is_candidate(s, slot) && try_slot(s, slot, choice)) {
            return true;
        }
    }
    return false;
}

// Rule 2: the newest confirmed slot; after a watchdog reset only if its image still verifies.
static bool choose_confirmed(const struct boot *s, struct ota_boot_choice *choice) {
    if (s->newest == NONE || !is_loadable(s, s->newest)) {
        return false;
    }
    int r = s->c->suspicious ? verify(s, s->newest) : read_image(s, s->newest, OTA_IMAGE_HEADER_BYTES);
    return r == OTA_OK && start(s, s->newest, OTA_BOOT_CONFIRMED, choice);
}

// Rule 3: any slot that was not rejected and whose image verifies, confirmed ones first.
static bool choose_verified(const struct boot *s, struct ota_boot_choice *choice) {
    const ota_trailer_t *t = s->b->trailer;
    const uint8_t first = is_confirmed(&t[1]) && !is_confirmed(&t[0]);
    for (uint8_t i = 0; i < OTA_BOOT_SLOTS; i++) {
        const uint8_t slot = i ^ first;
        if (t[slot].rejected == 0 && is_loadable(s, slot) && verify(s, slot) == OTA_OK) {
            return start(s, slot, is_confirmed(&t[slot]) ? OTA_BOOT_CONFIRMED : OTA_BOOT_VERIFIED, choice);
        }
    }
    return false;
}

int ota_boot_choose(ota_boot_t *b, const struct ota_io *io, const struct ota_boot_config *c, struct ota_boot_choice *choice) {
    struct boot s = {.b = b, .io = io, .c = c, .trust = c->trust};
    memset(choice, 0, sizeof(*choice)); // the console
    int r = read_trailers(&s);
    if (r != OTA_OK) {
        return r;
    }
    s.newest = newest_confirmed(b);
    s.trust.min_counter = s.newest == NONE ? 0 : b->trailer[s.newest].counter;
    (void)(choose_trial(&s, choice) || choose_confirmed(&s, choice) || choose_verified(&s, choice));
    return OTA_OK;
}
