// SPDX-License-Identifier: MIT
#define alloca(n) __builtin_alloca(n)
