// RSA verification: Montgomery arithmetic in rows of limbs (DESIGN.md, "Trust"), PKCS#1 v1.5 and PSS encodings.
// SPDX-License-Identifier: MIT
#include "rsa.h"
#include "sha256.h"

#define HASH_BYTES 32u
#define LIMB_BITS OTA_RSA_LIMB_BITS
#define LIMB_BYTES (LIMB_BITS / 8u)
#define MAX_LIMB ((limb_t)-1)

typedef ota_rsa_limb_t limb_t;
#if LIMB_BITS == 16
typedef uint32_t wide_t;
#else
typedef uint64_t wide_t;
#endif

// t += a * b over n limbs; returns the limb carried out.
static limb_t row_add(limb_t *t, const limb_t *a, limb_t b, uint32_t n) {
    wide_t c = 0;
#define STEP(i) do { \
        c += (wide_t)a[i] * b + t[i]; \
        t[i] = (limb_t)c; \
        c >>= LIMB_BITS; \
} while (0)
    for (; (n & 7) != 0; n--, t++, a++) {
        STEP(0);
    }
    for (; n > 0; n -= 8, t += 8, a += 8) {
        STEP(0);
        STEP(1);
        STEP(2);
        STEP(3);
        STEP(4);
        STEP(5);
        STEP(6);
        STEP(7);
    }
#undef STEP
    return (limb_t)c;
}

// t -= a * b over n limbs; returns the limb borrowed.
static limb_t row_sub(limb_t *t, const limb_t *a, limb_t b, uint32_t n) {
    wide_t c = 0;
    for (uint32_t i = 0; i < n; i++) {
        c += (wide_t)a[i] * b;
        limb_t low = (limb_t)c;
        c = (c >> LIMB_BITS) + (t[i] < low);
        t[i] = (limb_t)(t[i] - low);
    }
    return (limb_t)c;
}

static bool less(const limb_t *a, const limb_t *b, uint32_t n) {
    while (n > 0 && a[n - 1] == b[n - 1]) {
        n--;
    }
    return n > 0 && a[n - 1] < b[n - 1];
}

// (high, low) / d, for high < d. Bit by bit: the LX106 cannot divide.
static limb_t quotient(limb_t high, limb_t low, limb_t d) {
    limb_t q = 0;
    for (uint32_t i = 0; i < LIMB_BITS; i++) {
        bool carry = high >> (LIMB_BITS - 1);
        high = (limb_t)(high << 1 | low >> (LIMB_BITS - 1));
        low = (limb_t)(low << 1);
        q = (limb_t)(q << 1);
        if (carry || high >= d) {
            high = (limb_t)(high - d);
            q |= 1;
        }
    }
    return q;
}

// product modulo the modulus, left in product's low half (Knuth, algorithm D). The high half is below the modulus.
static void divide(ota_rsa_work_t *w) {
    uint32_t n = w->limbs;
    limb_t d = w->modulus[n - 1];
    for (uint32_t i = n; i-- > 0;) {
        limb_t *t = w->product + i;
        limb_t top = t[n];
        limb_t q = top >= d ? MAX_LIMB : quotient(top, t[n - 1], d);
        top = (limb_t)(top - row_sub(t, w->modulus, q, n));
        while (top != 0) { // q was one or two too many
            top = (limb_t)(top + row_add(t, w->modulus, 1, n));
        }
    }
}

// power = product / 2^(limbs * LIMB_BITS) modulo the modulus.
static void reduce(ota_rsa_work_t *w, const struct ota_io *io) {
    uint32_t n = w->limbs;
    limb_t *t = w->product;
    wide_t carry = 0;
    for (uint32_t i = 0; i < n; i++, t++) {
        limb_t q = (limb_t)((wide_t)t[0] * w->inverse);
        carry += (wide_t)t[n] + row_add(t, w->modulus, q, n);
        t[n] = (limb_t)carry;
        carry >>= LIMB_BITS;
    }
    if (carry != 0 || !less(t, w->modulus, n)) {
        (void)row_sub(t, w->modulus, 1, n);
    }
    memcpy(w->power, t, n * LIMB_BYTES);
    if (io != NULL && io->feed != NULL) {
        io->feed(io->ctx);
    }
}

// power *= base, in Montgomery's way.
static void multiply(ota_rsa_work_t *w, const struct ota_io *io) {
    uint32_t n = w->limbs;
    memset(w->product, 0, n * LIMB_BYTES);
    for (uint32_t i = 0; i < n; i++) {
        w->product[i + n] = row_add(w->product + i, w->base, w->power[i], n);
    }
    reduce(w, io);
}

// power *= power, in Montgomery's way: each product of two different limbs is computed once and doubled.
static void square(ota_rsa_work_t *w, const struct ota_io *io) {
    uint32_t n = w->limbs;
    const limb_t *a = w->power;
    limb_t *t = w->product;
    memset(t, 0, n * LIMB_BYTES);
    for (uint32_t i = 0; i < n; i++) {
        t[i + n] = row_add(t + 2 * i + 1, a + i + 1, a[i], n - i - 1);
    }
    wide_t carry = 0;
    for (uint32_t i = 0; i < n; i++, t += 2) {
        wide_t p = (wide_t)a[i] * a[i];
        carry += 2 * (wide_t)t[0] + (limb_t)p;
        t[0] = (limb_t)carry;
        carry = (carry >> LIMB_BITS) + 2 * (wide_t)t[1] + (p >> LIMB_BITS);
        t[1] = (limb_t)carry;
        carry >>= LIMB_BITS;
    }
    reduce(w, io);
}

static void load(limb_t *t, const uint8_t *in, uint32_t limbs) {
    while (limbs-- > 0) {
        limb_t v = 0;
        for (uint32_t i = 0; i < LIMB_BYTES; i++) {
            v = (limb_t)((wide_t)v << 8 | *in++);
        }
        t[limbs] = v;
    }
}

static void store(uint8_t *out, const limb_t *t, uint32_t limbs) {
    while (limbs-- > 0) {
        for (uint32_t i = LIMB_BITS; i > 0; i -= 8) {
            *out++ = (uint8_t)(t[limbs] >> (i - 8));
        }
    }
}

// power = sig ^ exponent modulo the modulus. False if sig is not below the modulus.
static bool exponentiate(ota_rsa_work_t *w, const struct ota_io *io, const uint8_t *sig) {
    uint32_t n = w->limbs;
    memset(w->product, 0, n * LIMB_BYTES);
    load(w->product + n, sig, n);
    if (!less(w->product + n, w->modulus, n)) {
        return false;
    }
    divide(w);
    memcpy(w->base, w->product, n * LIMB_BYTES);
    memcpy(w->power, w->product, n * LIMB_BYTES);
    uint32_t bit = 31;
    while (w->exponent >> bit == 0) {
        bit--;
    }
    while (--bit > 0) {
        square(w, io);
        if (w->exponent >> bit & 1) {
            multiply(w, io);
        }
    }
    load(w->base, sig, n); // the exponent is odd: the last factor, not in Montgomery's form, takes the result out of it
    square(w, io);
    multiply(w, io);
    return true;
}

// Tag and minimal length of a DER element that ends by `end`: the bytes of its header, or 0. *n gets the contents' size.
static uint32_t der_header(const uint8_t *p, const uint8_t *end, uint8_t tag, uint32_t *n) {
    uint32_t left = (uint32_t)(end - p), header = 2;
    if (left < 2 || p[0] != tag) {
        return 0;
    }
    *n = p[1];
    if (p[1] == 0x82 && left > 3) {
        *n = (uint32_t)p[2] << 8 | p[3];
        header = 4;
    }
    bool minimal = header == 4 ? *n >= 0x100 : *n < 0x80;
    return minimal && *n <= left - header ? header : 0;
}

// A minimal, positive DER INTEGER at *p; moves *p behind it. Returns its first byte that counts and their number, or NULL.
static const uint8_t *der_integer(const uint8_t **p, const uint8_t *end, uint32_t *n) {
    uint32_t header = der_header(*p, end, 0x02, n);
    const uint8_t *v = *p + header;
    if (header == 0 || *n == 0 || v[0] >= 0x80) {
        return NULL;
    }
    *p = v + *n;
    if (v[0] == 0 && *n > 1) {
        v++;
        *n -= 1;
        return v[0] >= 0x80 ? v : NULL;
    }
    return v;
}

static limb_t negative_inverse(limb_t odd) {
    uint32_t v = odd; // right in its 3 lowest bits; each step doubles them
    for (uint32_t i = 0; i < 4; i++) {
        v *= 2 - odd * v;
    }
    return (limb_t)(0 - v);
}

// SEQUENCE { INTEGER modulus, INTEGER exponent } and nothing else. False if the key cannot be used.
static bool load_key(ota_rsa_work_t *w, const struct ota_key *key) {
    const uint8_t *p = key->der, *end = p + key->size;
    uint32_t n, e_size, header = der_header(p, end, 0x30, &n);
    if (header == 0 || header + n != key->size) {
        return false;
    }
    p += header;
    const uint8_t *modulus = der_integer(&p, end, &n);
    if (modulus == NULL || (n != 256 && n != 384) || modulus[0] < 0x80 || (modulus[n - 1] & 1) == 0) {
        return false;
    }
    const uint8_t *e = der_integer(&p, end, &e_size);
    if (e == NULL || p != end || e_size > 4) {
        return false;
    }
    w->exponent = 0;
    while (e_size-- > 0) {
        w->exponent = w->exponent << 8 | *e++;
    }
    w->limbs = n / LIMB_BYTES;
    load(w->modulus, modulus, w->limbs);
    w->inverse = negative_inverse(w->modulus[0]);
    return w->exponent >= 3 && (w->exponent & 1) == 1;
}

// RFC 8017 8.2.2: the only encoding of this hash, compared as a whole.
static bool is_pkcs1(const uint8_t *em, uint32_t n, const uint8_t hash[HASH_BYTES]) {
    // 00, then DigestInfo up to the hash. In words: byte tables in the ESP8266's flash cannot be read.
    static const uint32_t info[5] = {0x00303130, 0x0d060960, 0x86480165, 0x03040201, 0x05000420};
    const uint32_t info_at = n - HASH_BYTES - (uint32_t)sizeof(info);
    bool good = em[0] == 0 && em[1] == 1;
    for (uint32_t i = 2; i < info_at; i++) {
        good &= em[i] == 0xff;
    }
    for (uint32_t i = 0; i < sizeof(info); i++) {
        good &= em[info_at + i] == (uint8_t)(info[i >> 2] >> (24 - 8 * (i & 3)));
    }
    return good && memcmp(em + n - HASH_BYTES, hash, HASH_BYTES) == 0;
}

// out ^= MGF1(seed), RFC 8017 B.2.1.
static void mask(uint8_t *out, uint32_t n, const uint8_t seed[HASH_BYTES]) {
    ota_sha256_t sha;
    uint8_t digest[HASH_BYTES], counter[4] = {0};
    for (uint32_t i = 0; i < n; i++) {
        if ((i & (HASH_BYTES - 1)) == 0) {
            ota_sha256_init(&sha);
            ota_sha256_push(&sha, seed, HASH_BYTES);
            ota_sha256_push(&sha, counter, sizeof(counter));
            ota_sha256_finish(&sha, digest);
            counter[3]++;
        }
        out[i] ^= digest[i & (HASH_BYTES - 1)];
    }
}

// RFC 8017 9.1.2 with 32 bytes of salt; em is overwritten.
static bool is_pss(uint8_t *em, uint32_t n, const uint8_t hash[HASH_BYTES]) {
    const uint32_t db = n - HASH_BYTES - 1, salt_at = db - HASH_BYTES;
    const uint8_t *h = em + db;
    if (em[n - 1] != 0xbc || em[0] >= 0x80) {
        return false;
    }
    mask(em, db, h);
    em[0] &= 0x7f;
    bool good = em[salt_at - 1] == 1;
    for (uint32_t i = 0; i < salt_at - 1; i++) {
        good &= em[i] == 0;
    }
    ota_sha256_t sha;
    uint8_t digest[HASH_BYTES] = {0};
    ota_sha256_init(&sha);
    ota_sha256_push(&sha, digest, 8);
    ota_sha256_push(&sha, hash, HASH_BYTES);
    ota_sha256_push(&sha, em + salt_at, HASH_BYTES);
    ota_sha256_finish(&sha, digest);
    return good && memcmp(digest, h, HASH_BYTES) == 0;
}

int ota_rsa_verify(ota_rsa_work_t *w, const struct ota_io *io, const struct ota_key *key,
    enum ota_rsa_padding padding, const uint8_t hash[32], const uint8_t *sig, uint32_t n) {
    if (!load_key(w, key)) {
        return OTA_E_KEY_FORMAT;
    }
    if (n != w->limbs * LIMB_BYTES || !exponentiate(w, io, sig)) {
        return OTA_E_SIGNATURE;
    }
    uint8_t *em = (uint8_t *)w->product;
    store(em, w->power, w->limbs);
    bool good = padding == OTA_RSA_PKCS1 ? is_pkcs1(em, n, hash) : padding == OTA_RSA_PSS && is_pss(em, n, hash);
    return good ? OTA_OK : OTA_E_SIGNATURE;
}
