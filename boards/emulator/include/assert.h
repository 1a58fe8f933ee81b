// SPDX-License-Identifier: MIT
#undef assert
#ifdef NDEBUG
#define assert(e) ((void)0)
#else
void __assert_func(const char *file, int line, const char *function, const char *expression) __attribute__((noreturn));
#define assert(e) ((e) ? (void)0 : __assert_func(__FILE__, __LINE__, __func__, #e))
#endif
#ifndef static_assert
#define static_assert _Static_assert
#endif
