# The patch decoder as a native .mpy: make -f ota/module/natmod.mk ARCH=x64 MPY_DIR=... BUILD=... MOD=out/name, from the top folder.
# SPDX-License-Identifier: MIT
SRC = $(addprefix ota/module/,natmod.c modota_args.c modota_patch.c) $(filter-out ota/core/patch_archs_%.c,$(wildcard ota/core/patch*.c))
OBJ = $(patsubst %.c,$(BUILD)/%.o,$(SRC))

$(BUILD)/ota/module/%.o: CFLAGS += -include ota/module/natmod.h
# A loop must not become a call of the function that it stands in, nor memmove one of memcpy, which is then done in place, forwards.
CFLAGS_EXTRA += -fno-tree-loop-distribute-patterns -fno-ipa-icf
# The compilers for bare machines have no C library's headers of their own, or not where they look for them.
ifneq ($(ARCH),x64)
CFLAGS_EXTRA += -isystem boards/emulator/include
endif
# On the Xtensa, mpy_ld.py takes what lies at the same place in the constants of two objects for one: it gets a single object.
ifneq ($(filter xtensa%,$(ARCH)),)
override SRC_O = $(BUILD)/whole.o
endif
# Debian has no compiler for the ESP32; the ESP8266's does.
ifeq ($(ARCH),xtensawin)
override CROSS = ota/module/windowed-
endif

include $(MPY_DIR)/py/dynruntime.mk

$(shell mkdir -p $(BUILD)/ota/core $(BUILD)/ota/module)
$(OBJ): ota/module/natmod.mk ota/module/windowed-gcc $(wildcard ota/core/*.h ota/module/*.h)

$(BUILD)/whole.o: $(OBJ) ota/module/natmod.lds
	$(Q)$(CROSS:ota/module/windowed-=xtensa-lx106-elf-)ld -r --no-relax -T ota/module/natmod.lds -o $@ $(OBJ)
