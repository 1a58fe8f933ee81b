# `_ota` as a user C module: the binding is scanned for qstrs, the core is plain C.
OTA_MODULE_DIR := $(USERMOD_DIR)
OTA_CORE_DIR := $(OTA_MODULE_DIR)/../core

# These files have no constants smaller than a word and are given memory only, so where flash is read by whole words alone a
# port may build them without its detour for bytes (OTA_PLAIN_CFLAGS).
$(patsubst %,$(BUILD)/module/../core/%.o,image rsa sha256 trailer \
	patch patch_model patch_sites patch_symbols patch_tables patch_arch_raw patch_arch_xtensa): CFLAGS += $(OTA_PLAIN_CFLAGS)

# The file that says which architectures' patches are decoded.
OTA_PATCH_ARCHS ?= patch_archs.c

SRC_USERMOD_C += $(addprefix $(OTA_MODULE_DIR)/,modota.c modota_args.c modota_coap.c modota_md5.c modota_patch.c)
SRC_USERMOD_LIB_C += $(addprefix $(OTA_CORE_DIR)/,coap.c image.c md5.c rsa.c sha256.c trailer.c \
	patch.c patch_model.c patch_sites.c patch_symbols.c patch_tables.c $(OTA_PATCH_ARCHS) patch_arch_raw.c patch_arch_xtensa.c patch_arch_arm.c patch_arch_x86.c)
