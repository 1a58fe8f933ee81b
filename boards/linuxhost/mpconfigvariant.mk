# Build settings of the linuxhost board; BUILD, FROZEN_MANIFEST and USER_C_MODULES come from the top Makefile.
PROG = firmware
MICROPY_SSL_AXTLS = 0
MICROPY_SSL_MBEDTLS = 1
MICROPY_PY_BTREE = 0
MICROPY_PY_FFI = 0
MICROPY_PY_THREAD = 0

MPOTA_DIR := $(abspath $(VARIANT_DIR)/../..)
SRC_C += $(addprefix $(MPOTA_DIR)/boards/emulator/,nor.c norchip.c)
INC += -I$(MPOTA_GEN) -I$(MPOTA_DIR)/ota/core -I$(MPOTA_DIR)/boards/emulator
# $(MPOTA_DIR) in manifests; makemanifest.py knows only what it is told.
MICROPY_MANIFEST_MPOTA_DIR = $(MPOTA_DIR)
MICROPY_MANIFEST_MPOTA_GEN = $(MPOTA_GEN)
