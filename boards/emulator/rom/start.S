// Reset and exceptions.
// SPDX-License-Identifier: MIT
#define STACK_TOP 0x40000000
#define FRAME 96 // epc, ps, sar, unused, a0, a2..a15, cause, a1: the frame C handlers of this chip expect

    .text
    .align 4
    .literal_position
    .global reset_handler
reset_handler:
    rsil a2, 15
    movi a3, 0
    wsr a3, intenable
    rsync
    movi a3, 0x40000000
    wsr a3, vecbase
    movi a1, STACK_TOP
    movi a3, 0x2f            // user vectors, interrupts masked until the ROM has set its tables up
    wsr a3, ps
    rsync
    call0 rom_start          // a2: PS as it was; QEMU resets it to 0x1f, a jump to the vector leaves the caller's
1:  j 1b

    .align 4
    .global debug_exception, nmi_exception, double_exception, level1_exception
debug_exception:
nmi_exception:
double_exception:
    movi a1, STACK_TOP
    rsr a2, exccause
    rsr a3, depc
    movi a4, 0x2f
    wsr a4, ps
    rsync
    call0 rom_double_exception
    j double_exception

    .align 4
level1_exception:
    addi a1, a1, -FRAME
    s32i a0, a1, 16
    s32i a2, a1, 20
    s32i a3, a1, 24
    s32i a4, a1, 28
    s32i a5, a1, 32
    s32i a6, a1, 36
    s32i a7, a1, 40
    s32i a8, a1, 44
    s32i a9, a1, 48
    s32i a10, a1, 52
    s32i a11, a1, 56
    s32i a12, a1, 60
    s32i a13, a1, 64
    s32i a14, a1, 68
    s32i a15, a1, 72
    rsr a2, epc1
    s32i a2, a1, 0
    rsr a2, ps
    s32i a2, a1, 4
    rsr a2, sar
    s32i a2, a1, 8
    rsr a3, exccause
    s32i a3, a1, 76
    addi a2, a1, FRAME
    s32i a2, a1, 80
    movi a2, 0x21            // a handler may fault in turn: EXCM off, level 1 still masked
    wsr a2, ps
    rsync
    mov a2, a1
    call0 rom_exception
    movi a2, 0x31            // EXCM on: no exception between restoring EPC1 and returning
    wsr a2, ps
    rsync
    l32i a2, a1, 0
    wsr a2, epc1
    l32i a2, a1, 8
    wsr a2, sar
    l32i a2, a1, 4
    wsr a2, ps
    rsync
    l32i a0, a1, 16
    l32i a2, a1, 20
    l32i a3, a1, 24
    l32i a4, a1, 28
    l32i a5, a1, 32
    l32i a6, a1, 36
    l32i a7, a1, 40
    l32i a8, a1, 44
    l32i a9, a1, 48
    l32i a10, a1, 52
    l32i a11, a1, 56
    l32i a12, a1, 60
    l32i a13, a1, 64
    l32i a14, a1, 68
    l32i a15, a1, 72
    addi a1, a1, FRAME
    rfe

// Calls an image's entry with the stack empty, as the chip does.
    .align 4
    .global rom_enter
rom_enter:
    movi a1, STACK_TOP
    callx0 a2
1:  j 1b
