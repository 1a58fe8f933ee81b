// SPDX-License-Identifier: MIT
#ifndef SETJMP_H
#define SETJMP_H
typedef unsigned long jmp_buf[10];
int setjmp(jmp_buf buf) __attribute__((returns_twice));
void longjmp(jmp_buf buf, int value) __attribute__((noreturn));
#endif
