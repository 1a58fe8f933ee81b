# For upstream's ports/esp8266: BOARD_DIR is this folder. MPOTA_GEN holds board.h and slot.ld.
# SPDX-License-Identifier: MIT
LD_FILES = $(MPOTA_GEN)/slot.ld
LDFLAGS += -e mpota_start
MICROPY_VFS_LFS2 ?= 1
OTA_PLAIN_CFLAGS = -mno-force-l32
OTA_PATCH_ARCHS = patch_archs_xtensa.c
CFLAGS += -I$(MPOTA_GEN) -I$(MPOTA_DIR)
# A register's address is to GCC 12 an array of no elements, as it is in upstream's esp_init_data.c.
CFLAGS += -Wno-array-bounds
