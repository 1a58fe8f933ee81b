# `_ota` as a user C module: the binding is scanned for qstrs, the core is plain C.
OTA_MODULE_DIR := $(USERMOD_DIR)
OTA_CORE_DIR := $(OTA_MODULE_DIR)/../core

SRC_USERMOD_C += $(OTA_MODULE_DIR)/modota.c
SRC_USERMOD_LIB_C += $(addprefix $(OTA_CORE_DIR)/,image.c md5.c rsa.c sha256.c trailer.c)
