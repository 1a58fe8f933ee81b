// Where the process begins, and what of C's library knows how the registers' windows lie on the stack (Xtensa ISA Reference
// Manual, section 4.7.1): a frame's a0-a3 lie below its callee's stack pointer, its a4-a7 32 bytes below its caller's.
// SPDX-License-Identifier: MIT

    .macro copy to, from
    .irp at, 0, 4, 8, 12
    l32i a6, \from, \at
    s32i a6, \to, \at
    .endr
    .endm

// Where the caller's a4-a7 lie, from its a1 in the buffer.
    .macro extra at
    l32i \at, a2, 4
    addi \at, \at, -16
    l32i \at, \at, 4
    addi \at, \at, -32
    .endm

    .text
    .literal_position

    .global start
    .align 4
start:
    mov a10, sp
    call8 port_main

// int setjmp(jmp_buf): the caller's a0-a7, then where setjmp returns to and its stack pointer.
    .global setjmp
    .align 4
setjmp:
    entry sp, 48
    call8 windows_spill
    s32i a0, a2, 32
    s32i sp, a2, 36
    addi a3, sp, -16
    copy a2, a3
    extra a3
    addi a4, a2, 16
    copy a4, a3
    movi a2, 0
    retw

// void longjmp(jmp_buf, int): puts the caller's registers back where a return will look for them, and returns as setjmp would.
    .global longjmp
    .align 4
longjmp:
    entry sp, 48
    call8 windows_spill
    l32i a5, a2, 36
    addi a3, a5, -16
    copy a3, a2
    extra a3
    addi a4, a2, 16
    copy a3, a4
    l32i a0, a2, 32
    mov sp, a5
    movi a2, 1
    retw

// void windows_spill(void): all callers' registers to the stack, by as many calls as there can be windows.
    .global windows_spill
    .align 4
windows_spill:
    entry sp, 32
    movi a10, 8
    call8 deeper
    retw

    .align 4
deeper:
    entry sp, 32
    beqz a2, 1f
    addi a10, a2, -1
    call8 deeper
1:  retw

// long linux(long number, long a, long b, long c)
    .global linux
    .align 4
linux:
    entry sp, 32
    mov a6, a3
    mov a3, a4
    mov a4, a5
    syscall
    retw
