# Upstream's QEMU port on RISC-V, linked without the compiler's C library.
# SPDX-License-Identifier: MIT
include boards/VIRT_RV32/mpconfigboard.mk
LIBS = -nostdlib $(shell riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32 -print-libgcc-file-name)
