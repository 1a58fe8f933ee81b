// IEEE 754 arithmetic in integers. Both widths are computed in one form: sign, exponent, and a 63-bit fraction
// whose bit 62 is the leading one, so 9 bits or more are left for exact rounding to nearest, ties to even.
// SPDX-License-Identifier: MIT
#include "rom.h"

typedef uint32_t u32;
typedef uint64_t u64;

enum kind { ZERO, FINITE, INFINITE, NOT_A_NUMBER };

struct number {
    enum kind kind;
    u32 sign;
    int exponent; // of bit 62
    u64 fraction; // 0 unless FINITE
};

struct width {
    int fraction_bits, exponent_bits;
};
static const struct width SINGLE = {23, 8}, DOUBLE = {52, 11};

u64 __umulsidi3(u32 a, u32 b);

static u64 shift_sticky(u64 v, int n) { // bits shifted out stay visible in bit 0
    if (n <= 0) {
        return v;
    }
    if (n > 63) {
        return v != 0;
    }
    return v >> n | ((v << (64 - n)) != 0);
}

static void normalize(struct number *x) {
    if (x->fraction == 0) {
        x->kind = ZERO;
        return;
    }
    int zeros = __builtin_clzll(x->fraction);
    if (zeros == 0) {
        x->fraction = shift_sticky(x->fraction, 1);
        x->exponent++;
    } else {
        x->fraction <<= zeros - 1;
        x->exponent -= zeros - 1;
    }
}

static struct number unpack(u64 bits, const struct width *w) {
    struct number x;
    int all_ones = (1 << w->exponent_bits) - 1;
    int bias = all_ones >> 1;
    int e = (int)(bits >> w->fraction_bits) & all_ones;
    u64 fraction = bits & (((u64)1 << w->fraction_bits) - 1);
    x.sign = (u32)(bits >> (w->fraction_bits + w->exponent_bits)) & 1;
    x.kind = FINITE;
    x.fraction = fraction;
    x.exponent = 1 - bias + 62 - w->fraction_bits;
    if (e == all_ones) {
        x.kind = fraction ? NOT_A_NUMBER : INFINITE;
        return x;
    }
    if (e) {
        x.fraction |= (u64)1 << w->fraction_bits;
        x.exponent += e - 1;
    }
    normalize(&x);
    return x;
}

static u64 pack(const struct number *x, const struct width *w) {
    int all_ones = (1 << w->exponent_bits) - 1;
    int bias = all_ones >> 1;
    u64 sign = (u64)x->sign << (w->fraction_bits + w->exponent_bits);
    u64 infinite = (u64)all_ones << w->fraction_bits;
    if (x->kind == NOT_A_NUMBER) {
        return infinite | (u64)1 << (w->fraction_bits - 1);
    }
    if (x->kind == INFINITE) {
        return sign | infinite;
    }
    if (x->kind == ZERO) {
        return sign;
    }
    int e = x->exponent + bias;
    int drop = 62 - w->fraction_bits;
    u64 f = shift_sticky(x->fraction, e < 1 ? 1 - e : 0);
    u64 rest = f & (((u64)1 << drop) - 1), half = (u64)1 << (drop - 1);
    f >>= drop;
    if (rest > half || (rest == half && (f & 1))) {
        f++;
    }
    // A carry out of the fraction lands in the exponent field, which is then right.
    u64 out = e < 1 ? f : ((u64)(e - 1) << w->fraction_bits) + f;
    return sign | (e >= all_ones || out >= infinite ? infinite : out);
}

static struct number add(struct number a, struct number b) {
    if (a.kind == NOT_A_NUMBER || b.kind == NOT_A_NUMBER || (a.kind == INFINITE && b.kind == INFINITE && a.sign != b.sign)) {
        a.kind = NOT_A_NUMBER;
        return a;
    }
    if (a.kind == INFINITE || b.kind == ZERO) {
        a.sign &= a.kind == ZERO ? b.sign : 1;
        return a;
    }
    if (b.kind == INFINITE || a.kind == ZERO) {
        return b;
    }
    if (a.exponent < b.exponent) {
        struct number t = a;
        a = b;
        b = t;
    }
    b.fraction = shift_sticky(b.fraction, a.exponent - b.exponent);
    if (a.sign == b.sign) {
        a.fraction += b.fraction;
    } else if (a.fraction >= b.fraction) {
        a.fraction -= b.fraction;
    } else {
        a.fraction = b.fraction - a.fraction;
        a.sign = b.sign;
    }
    if (a.fraction == 0) {
        a.sign = 0;
    }
    normalize(&a);
    return a;
}

static struct number multiply(struct number a, struct number b) {
    a.sign ^= b.sign;
    if (a.kind == NOT_A_NUMBER || b.kind == NOT_A_NUMBER || (a.kind == INFINITE && b.kind == ZERO) || (a.kind == ZERO && b.kind == INFINITE)) {
        a.kind = NOT_A_NUMBER;
        return a;
    }
    if (a.kind != FINITE || b.kind != FINITE) {
        a.kind = a.kind == INFINITE || b.kind == INFINITE ? INFINITE : ZERO;
        return a;
    }
    u32 ah = (u32)(a.fraction >> 32), al = (u32)a.fraction, bh = (u32)(b.fraction >> 32), bl = (u32)b.fraction;
    u64 low = __umulsidi3(al, bl);
    u64 m1 = __umulsidi3(ah, bl), m2 = __umulsidi3(al, bh);
    u64 middle = (low >> 32) + (u32)m1 + (u32)m2;
    u64 high = __umulsidi3(ah, bh) + (m1 >> 32) + (m2 >> 32) + (middle >> 32);
    u32 rest = (u32)low | (u32)middle;
    a.fraction = high | (rest != 0); // bit 124 of the product is bit 60 here
    a.exponent += b.exponent + 2;
    normalize(&a);
    return a;
}

static struct number divide(struct number a, struct number b) {
    a.sign ^= b.sign;
    if (a.kind == NOT_A_NUMBER || b.kind == NOT_A_NUMBER || (a.kind == b.kind && a.kind != FINITE)) {
        a.kind = NOT_A_NUMBER;
        return a;
    }
    if (a.kind == INFINITE || b.kind == ZERO) {
        a.kind = INFINITE;
        return a;
    }
    if (a.kind == ZERO || b.kind == INFINITE) {
        a.kind = ZERO;
        return a;
    }
    u64 rest = a.fraction, q = 0;
    for (int i = 0; i < 63; i++, rest <<= 1) {
        q <<= 1;
        if (rest >= b.fraction) {
            rest -= b.fraction;
            q |= 1;
        }
    }
    a.fraction = q | (rest != 0);
    a.exponent -= b.exponent;
    normalize(&a);
    return a;
}

// Towards zero; what does not fit becomes the nearest number that does.
static u32 to_integer(const struct number *x, u32 most, u32 most_negative) {
    if (x->kind == NOT_A_NUMBER || x->kind == ZERO || (x->kind == FINITE && x->exponent < 0)) {
        return 0;
    }
    u64 v = x->kind == INFINITE || x->exponent > 31 ? UINT32_MAX : x->fraction >> (62 - x->exponent);
    if (x->sign) {
        return v > most_negative ? -most_negative : -(u32)v;
    }
    return v > most ? most : (u32)v;
}

static struct number from_integer(u32 v, u32 sign) {
    struct number x = {FINITE, sign, 62, v};
    normalize(&x);
    return x;
}

static u32 single_bits(float v) {
    union { float f; u32 u; } x = {v};
    return x.u;
}

static u64 double_bits(double v) {
    union { double f; u64 u; } x = {v};
    return x.u;
}

static float single(struct number x) {
    union { u32 u; float f; } v = {(u32)pack(&x, &SINGLE)};
    return v.f;
}

static double real(struct number x) {
    union { u64 u; double f; } v = {pack(&x, &DOUBLE)};
    return v.f;
}

#define S(v) unpack(single_bits(v), &SINGLE)
#define D(v) unpack(double_bits(v), &DOUBLE)
#define NEGATIVE_S(v) unpack(single_bits(v) ^ 0x80000000u, &SINGLE)
#define NEGATIVE_D(v) unpack(double_bits(v) ^ 0x8000000000000000u, &DOUBLE)

float __addsf3(float a, float b) { return single(add(S(a), S(b))); }
float __subsf3(float a, float b) { return single(add(S(a), NEGATIVE_S(b))); }
float __mulsf3(float a, float b) { return single(multiply(S(a), S(b))); }
double __adddf3(double a, double b) { return real(add(D(a), D(b))); }
double __subdf3(double a, double b) { return real(add(D(a), NEGATIVE_D(b))); }
double __muldf3(double a, double b) { return real(multiply(D(a), D(b))); }
double __divdf3(double a, double b) { return real(divide(D(a), D(b))); }
double __extendsfdf2(float a) { return real(S(a)); }
float __truncdfsf2(double a) { return single(D(a)); }

u32 __fixunssfsi(float a) {
    struct number x = S(a);
    return to_integer(&x, UINT32_MAX, 0);
}

u32 __fixunsdfsi(double a) {
    struct number x = D(a);
    return to_integer(&x, UINT32_MAX, 0);
}

int32_t __fixdfsi(double a) {
    struct number x = D(a);
    return (int32_t)to_integer(&x, INT32_MAX, 0x80000000u);
}

float __floatunsisf(u32 v) { return single(from_integer(v, 0)); }
double __floatunsidf(u32 v) { return real(from_integer(v, 0)); }
float __floatsisf(int32_t v) { return single(from_integer(v < 0 ? -(u32)v : (u32)v, v < 0)); }
double __floatsidf(int32_t v) { return real(from_integer(v < 0 ? -(u32)v : (u32)v, v < 0)); }
