# Upstream's QEMU port on a Cortex-M4 with its FPU switched on: it loads what is built for armv6m, armv7m and armv7emsp.
# SPDX-License-Identifier: MIT
QEMU_ARCH = arm
QEMU_MACHINE = mps2-an386
CFLAGS += -mthumb -mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard -DQEMU_SOC_MPS2 -DMICROPY_HW_MCU_NAME='"Cortex-M4F"'
LDSCRIPT = mcu/arm/mps2.ld
SRC_BOARD_O = shared/runtime/gchelper_native.o shared/runtime/gchelper_thumb2.o
SRC_BOARD_O += fpu.o
vpath fpu.c $(BOARD_DIR)
LDFLAGS += -Wl,--wrap=main
