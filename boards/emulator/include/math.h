// Single precision, as MicroPython's lib/libm has it.
// SPDX-License-Identifier: MIT
#ifndef MATH_H
#define MATH_H
#include <sys/types.h>
typedef float float_t;
typedef double double_t;
#define FLT_EVAL_METHOD 0
#define M_PI 3.14159265358979323846
#define M_E 2.7182818284590452354
#define HUGE_VALF __builtin_huge_valf()
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define FP_NAN 0
#define FP_INFINITE 1
#define FP_ZERO 2
#define FP_SUBNORMAL 3
#define FP_NORMAL 4
#define fpclassify(x) __builtin_fpclassify(FP_NAN, FP_INFINITE, FP_NORMAL, FP_SUBNORMAL, FP_ZERO, x)
#define isnan(x) __builtin_isnan(x)
#define isinf(x) __builtin_isinf(x)
#define isfinite(x) __builtin_isfinite(x)
#define isnormal(x) __builtin_isnormal(x)
#define signbit(x) __builtin_signbit(x)
float acosf(float x); float acoshf(float x); float asinf(float x); float asinhf(float x);
float atan2f(float y, float x); float atanf(float x); float atanhf(float x); float ceilf(float x);
float copysignf(float x, float y); float cosf(float x); float coshf(float x); float erff(float x); float erfcf(float x);
float expf(float x); float expm1f(float x); float fabsf(float x); float floorf(float x); float fmodf(float x, float y);
float frexpf(float x, int *e); float ldexpf(float x, int e); float lgammaf(float x); float log10f(float x);
float log1pf(float x); float log2f(float x); float logf(float x); float modff(float x, float *i);
float nanf(const char *tag); float nearbyintf(float x); float powf(float x, float y); float roundf(float x); float scalbnf(float x, int n);
float sinf(float x); float sinhf(float x); float sqrtf(float x); float tanf(float x); float tanhf(float x);
float tgammaf(float x); float truncf(float x);
double floor(double x); double pow(double x, double y);
#endif
