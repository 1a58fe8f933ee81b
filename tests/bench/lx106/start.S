// Entry of a bare program on QEMU's lx60-nommu: a stack, main, and out through the simcall.
// SPDX-License-Identifier: MIT
    .section .start, "ax"
    .global _start
    .literal_position
    .literal stack_top, 0x50800000
_start:
    l32r    a1, stack_top
    call0   main
    mov     a3, a2
    movi    a2, 1
    simcall

    .text
    .global write_out
    .align 4
write_out:              // (buf, n) to standard output
    mov     a5, a3
    mov     a4, a2
    movi    a3, 1
    movi    a2, 4
    simcall
    ret

    .global cycles      // CCOUNT
    .align 4
cycles:
    rsr     a2, ccount
    ret

    .global spin        // 4 * n instructions
    .align 4
spin:
    nop
    nop
    addi    a2, a2, -1
    bnez    a2, spin
    ret
