// Reads MCUboot images as a stream and verifies them (SPEC.md, "Image").
// SPDX-License-Identifier: MIT
#include "image.h"

#define MAGIC 0x96f3b83du
#define MAX_HEADER_BYTES 4096u
#define AREA_PROTECTED 0x6908u
#define AREA_UNPROTECTED 0x6907u
#define TLV_HEADER_BYTES 4u

enum stage { STAGE_HEADER, STAGE_PAYLOAD, STAGE_AREA, STAGE_TLV, STAGE_VALUE, STAGE_DONE };

// The known TLVs. In words: byte tables in the ESP8266's flash cannot be read.
static const struct known {
    uint32_t tag, area, size;
    size_t value; // offset in ota_image_t
} known[] = {
    {0x01, AREA_UNPROTECTED, 32, offsetof(ota_image_t, key_hash)},  // KEYHASH
    {0x10, AREA_UNPROTECTED, 32, offsetof(ota_image_t, hash)},      // SHA256
    {0x50, AREA_PROTECTED, 4, offsetof(ota_image_t, counter)},      // SEC_CNT
    {0x74, AREA_PROTECTED, 16, offsetof(ota_image_t, vendor_id)},   // UUID_VID
    {0x75, AREA_PROTECTED, 16, offsetof(ota_image_t, class_id)},    // UUID_CID
    {0x20, AREA_UNPROTECTED, 256, offsetof(ota_image_t, sig)},      // RSA2048
    {0x23, AREA_UNPROTECTED, 384, offsetof(ota_image_t, sig)},      // RSA3072
};

#define KNOWN (sizeof(known) / sizeof(known[0]))
#define RSA2048 5u
#define RSA3072 6u
#define REQUIRED ((1u << RSA2048) - 1) // all before the signatures

void ota_image_init(ota_image_t *s, uint32_t limit) {
    memset(s, 0, sizeof(*s));
    ota_sha256_init(&s->sha);
    s->limit = limit;
    s->left = OTA_IMAGE_HEADER_BYTES;
    s->hash_end = OTA_IMAGE_HEADER_BYTES;
}

static int begin(ota_image_t *s, enum stage stage, uint32_t size) {
    s->stage = (uint8_t)stage;
    s->left = size;
    s->fill = 0;
    return size <= s->limit - s->position ? OTA_OK : OTA_E_SIZE;
}

static int end_header(ota_image_t *s) {
    const uint8_t *p = s->part;
    ota_image_info_t *info = &s->info;
    if (ota_get_le32(p) != MAGIC) {
        return OTA_E_MAGIC;
    }
    info->header_size = ota_get_le16(p + 8);
    info->payload_size = ota_get_le32(p + 12);
    info->flags = ota_get_le32(p + 16);
    info->version.major = p[20];
    info->version.minor = p[21];
    info->version.revision = ota_get_le16(p + 22);
    info->version.build = ota_get_le32(p + 24);
    s->protected_size = ota_get_le16(p + 10);
    if (info->header_size < OTA_IMAGE_HEADER_BYTES || info->header_size > MAX_HEADER_BYTES ||
        (info->header_size & 3) != 0 || (info->flags & ~OTA_IMAGE_FLAG_NON_BOOTABLE) != 0) {
        return OTA_E_HEADER;
    }
    uint32_t fixed = info->header_size + s->protected_size; // fits: two u16
    if (fixed > s->limit || info->payload_size > s->limit - fixed) {
        return OTA_E_SIZE;
    }
    s->hash_end = fixed + info->payload_size;
    s->area_end = info->header_size + info->payload_size;
    return begin(s, STAGE_PAYLOAD, s->area_end - s->position);
}

static bool in_protected_area(const ota_image_t *s) {
    return s->area_end == s->hash_end;
}

// Both areas start with magic and size; the protected one's size also stands in the header.
static int end_area_header(ota_image_t *s) {
    uint32_t size = ota_get_le16(s->part + 2);
    bool is_protected = s->position - TLV_HEADER_BYTES < s->hash_end;
    if (ota_get_le16(s->part) != (is_protected ? AREA_PROTECTED : AREA_UNPROTECTED) ||
        size < TLV_HEADER_BYTES || (is_protected && size != s->protected_size)) {
        return OTA_E_TLV;
    }
    size -= TLV_HEADER_BYTES;
    if (size > s->limit - s->position) {
        return OTA_E_SIZE;
    }
    s->area_end = s->position + size;
    if (!is_protected) {
        s->info.total_size = s->area_end;
    }
    return OTA_OK;
}

static int end_tlv_header(ota_image_t *s) {
    uint32_t tag = ota_get_le16(s->part), size = ota_get_le16(s->part + 2);
    if (size > s->area_end - s->position) {
        return OTA_E_TLV;
    }
    uint32_t i = 0;
    while (i < KNOWN && known[i].tag != tag) {
        i++;
    }
    s->tlv = (uint8_t)i;
    s->tlv_size = (uint16_t)size;
    if (i < KNOWN) {
        uint32_t area = in_protected_area(s) ? AREA_PROTECTED : AREA_UNPROTECTED;
        if (known[i].area != area || known[i].size != size || (s->seen & 1u << i) != 0) {
            return OTA_E_TLV;
        }
        s->seen |= 1u << i;
    }
    return begin(s, STAGE_VALUE, size);
}

static int end_image(ota_image_t *s) {
    bool is2048 = s->seen >> RSA2048 & 1, is3072 = s->seen >> RSA3072 & 1;
    if ((s->seen & REQUIRED) != REQUIRED || is2048 == is3072) {
        return OTA_E_TLV;
    }
    s->info.counter = ota_get_le32(s->counter);
    s->stage = STAGE_DONE;
    return OTA_OK;
}

static void digest_so_far(const ota_image_t *s, uint8_t digest[32]) {
    ota_sha256_t sha = s->sha;
    ota_sha256_finish(&sha, digest);
}

// What follows a TLV or an area's header: a TLV, the other area or the end.
static int next_tlv(ota_image_t *s) {
    uint32_t left = s->area_end - s->position;
    if (left >= TLV_HEADER_BYTES) {
        return begin(s, STAGE_TLV, TLV_HEADER_BYTES);
    }
    if (left > 0) {
        return OTA_E_TLV;
    }
    if (!in_protected_area(s)) {
        return end_image(s);
    }
    digest_so_far(s, s->info.hash);
    return begin(s, STAGE_AREA, TLV_HEADER_BYTES);
}

static int end_stage(ota_image_t *s) {
    int r;
    switch (s->stage) {
        case STAGE_HEADER:
            return end_header(s);
        case STAGE_PAYLOAD:
            // The protected area is required: without room for its header there are TLVs missing.
            return s->protected_size < TLV_HEADER_BYTES ? OTA_E_TLV : begin(s, STAGE_AREA, TLV_HEADER_BYTES);
        case STAGE_AREA:
            r = end_area_header(s);
            return r == OTA_OK ? next_tlv(s) : r;
        case STAGE_TLV:
            return end_tlv_header(s);
        default:
            return next_tlv(s);
    }
}

// Takes n <= left bytes of the current stage.
static void take(ota_image_t *s, const uint8_t *in, uint32_t n) {
    ota_sha256_push(&s->sha, in, n);
    if (s->stage == STAGE_VALUE) {
        if (s->tlv < KNOWN) {
            memcpy((uint8_t *)s + known[s->tlv].value + (s->tlv_size - s->left), in, n);
        }
    } else if (s->stage != STAGE_PAYLOAD) {
        memcpy(s->part + s->fill, in, n);
        s->fill = (uint8_t)(s->fill + n);
    }
    s->position += n;
    s->left -= n;
}

int32_t ota_image_push(ota_image_t *s, const uint8_t *in, uint32_t n) {
    uint32_t used = 0;
    if (s->position == 0 && s->limit < OTA_IMAGE_HEADER_BYTES) {
        s->error = OTA_E_SIZE;
    }
    while (s->error == OTA_OK && s->stage != STAGE_DONE && used < n) {
        uint32_t k = n - used < s->left ? n - used : s->left;
        take(s, in + used, k);
        used += k;
        while (s->error == OTA_OK && s->left == 0 && s->stage != STAGE_DONE) {
            s->error = end_stage(s);
        }
    }
    return s->error != OTA_OK ? s->error : (int32_t)used;
}

bool ota_image_complete(const ota_image_t *s) {
    return s->error == OTA_OK && s->stage == STAGE_DONE;
}

bool ota_image_digest(const ota_image_t *s, uint8_t digest[32]) {
    if (!ota_image_complete(s)) {
        return false;
    }
    digest_so_far(s, digest);
    return true;
}

static const struct ota_key *find_key(const ota_image_t *s, const struct ota_trust *trust) {
    for (uint32_t i = 0; i < trust->key_count; i++) {
        const struct ota_key *key = &trust->keys[i];
        ota_sha256_t sha;
        uint8_t hash[32];
        ota_sha256_init(&sha);
        ota_sha256_push(&sha, key->der, key->size);
        ota_sha256_finish(&sha, hash);
        if (memcmp(hash, s->key_hash, sizeof(hash)) == 0) {
            return key;
        }
    }
    return NULL;
}

static int verify(ota_image_t *s, const struct ota_io *io, const struct ota_trust *trust, ota_rsa_work_t *w) {
    if (s->stage != STAGE_DONE) {
        return OTA_E_SIZE;
    }
    if (memcmp(s->hash, s->info.hash, sizeof(s->hash)) != 0) {
        return OTA_E_HASH;
    }
    if (memcmp(s->vendor_id, trust->vendor_id, sizeof(s->vendor_id)) != 0 ||
        memcmp(s->class_id, trust->class_id, sizeof(s->class_id)) != 0) {
        return OTA_E_PRODUCT;
    }
    if (s->info.counter < trust->min_counter) {
        return OTA_E_COUNTER;
    }
    const struct ota_key *key = find_key(s, trust);
    if (key == NULL) {
        return OTA_E_KEY;
    }
    uint32_t sig_size = known[s->seen >> RSA3072 & 1 ? RSA3072 : RSA2048].size;
    return ota_rsa_verify(w, io, key, OTA_RSA_PSS, s->info.hash, s->sig, sig_size);
}

int ota_image_finish(ota_image_t *s, const struct ota_io *io, const struct ota_trust *trust, ota_rsa_work_t *w) {
    if (s->error == OTA_OK) {
        s->error = verify(s, io, trust, w);
    }
    return s->error;
}
