// Integer arithmetic the LX106 has no instructions for: division, and products wider than 32 bits.
// SPDX-License-Identifier: MIT
#include "rom.h"

typedef uint32_t u32;
typedef uint64_t u64;

u32 __udivsi3(u32 a, u32 b);
u32 __umodsi3(u32 a, u32 b);

static inline u32 divide32(u32 a, u32 b, u32 *rest) {
    u32 q = 0;
    if (b == 0) {
        __asm__ volatile ("ill"); // the chip's helper raises the same exception
    }
    if (a >= b) {
        int shift = __builtin_clz(b) - __builtin_clz(a);
        for (b <<= shift; shift >= 0; shift--, b >>= 1) {
            q <<= 1;
            if (a >= b) {
                a -= b;
                q |= 1;
            }
        }
    }
    *rest = a;
    return q;
}

u32 __udivsi3(u32 a, u32 b) {
    u32 rest;
    return divide32(a, b, &rest);
}

// A loop as short as libgcc's for Xtensa: MicroPython takes a remainder for every place it looks at in a table.
u32 __umodsi3(u32 a, u32 b) {
    if (b == 0) {
        __asm__ volatile ("ill");
    }
    if (a >= b) {
        int n = __builtin_clz(b) - __builtin_clz(a) + 1;
        for (b <<= n - 1; n; n--, b >>= 1) {
            if (a >= b) {
                a -= b;
            }
        }
    }
    return a;
}

int32_t __divsi3(int32_t a, int32_t b) {
    u32 q = __udivsi3(a < 0 ? -(u32)a : (u32)a, b < 0 ? -(u32)b : (u32)b);
    return (int32_t)((a ^ b) < 0 ? -q : q);
}

u64 __umulsidi3(u32 a, u32 b) {
    u32 al = a & 0xffff, ah = a >> 16, bl = b & 0xffff, bh = b >> 16;
    u32 low = al * bl, middle = ah * bl + (low >> 16); // cannot wrap: (2^16-1)^2 + 2^16-1 < 2^32
    u32 middle2 = al * bh + (middle & 0xffff);
    return (u64)(ah * bh + (middle >> 16) + (middle2 >> 16)) << 32 | (middle2 << 16 | (low & 0xffff));
}

u64 __muldi3(u64 a, u64 b) {
    u32 high = (u32)(a >> 32) * (u32)b + (u32)a * (u32)(b >> 32);
    return __umulsidi3((u32)a, (u32)b) + ((u64)high << 32);
}

static u64 divide64(u64 a, u64 b, u64 *rest) {
    u64 q = 0;
    if ((a | b) >> 32 == 0) {
        u32 r;
        q = divide32((u32)a, (u32)b, &r);
        *rest = r;
        return q;
    }
    if (b == 0) {
        __asm__ volatile ("ill");
    }
    if (a >= b) {
        int shift = __builtin_clzll(b) - __builtin_clzll(a);
        for (b <<= shift; shift >= 0; shift--, b >>= 1) {
            q <<= 1;
            if (a >= b) {
                a -= b;
                q |= 1;
            }
        }
    }
    *rest = a;
    return q;
}

u64 __udivdi3(u64 a, u64 b) {
    u64 rest;
    return divide64(a, b, &rest);
}

u64 __umoddi3(u64 a, u64 b) {
    u64 rest;
    divide64(a, b, &rest);
    return rest;
}

int64_t __divdi3(int64_t a, int64_t b) {
    u64 rest;
    u64 q = divide64(a < 0 ? -(u64)a : (u64)a, b < 0 ? -(u64)b : (u64)b, &rest);
    return (int64_t)((a ^ b) < 0 ? -q : q);
}

static u32 seed = 1;

void srand(u32 s) {
    seed = s;
}

int rand(void) {
    seed = seed * 1103515245u + 12345u;
    return (int)(seed >> 1);
}

u32 roundup2(u32 v, u32 unit) {
    return (v + unit - 1) & ~(unit - 1);
}

u32 multofup(u32 v, u32 unit) {
    return (v + unit - 1) / unit * unit;
}
