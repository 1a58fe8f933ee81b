# The list of entry points. Everything made goes to build/ and out/; tools/setup installs what is missing.
# SPDX-License-Identifier: MIT

ifneq ($(words $(CURDIR)),1)
$(error $(CURDIR): make takes no folder with a space in its name)
endif

BUILD := $(CURDIR)/build
VENV := $(BUILD)/venv/bin
MICROPY_DIR ?=
MICROPY_TOP := $(if $(MICROPY_DIR),$(abspath $(MICROPY_DIR)),$(BUILD)/src/micropython)
export MICROPY_DIR
# A checkout of your own makes otaapp@esp8266 a build for the chip, unless EMULATED is set.
export EMULATED ?=
export CHIP := $(if $(EMULATED),,$(and $(MICROPY_DIR),$(filter otaapp@esp8266%,$(MAKECMDGOALS))))
export MPOTA_BUILD := $(BUILD)
export SOURCE_DATE_EPOCH := 0
MAKEFLAGS += --no-print-directory

# What a firmware is built from. Given on the command line, these go before what `make menuconfig` set.
APP ?= otaapp
VERSION ?= 1.0.0
COUNTER ?= 1
PRODUCT ?=
KEY ?=
DIGEST_KEY ?=
CA ?=
SERVER ?=
OUT ?=
MANIFEST ?=
BOARD ?=
export VERSION COUNTER
export KCONFIG_CONFIG ?= $(CURDIR)/.config
$(foreach name,APP DIGEST_KEY CA OUT MANIFEST MICROPY_DIR CORPUS,$(if $(word 2,$($(name))),$(error $(name)=$($(name)): make takes no path with a space in it)))
# Firmware pairs for patches: a folder whose README.md lists them.
CORPUS ?=
export MPOTA_CORPUS := $(CORPUS)

.PHONY: help
help:
	@sed -n 's/^\([a-z@%A-Z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 24

.PHONY: setup
setup: ## install what is missing, make build/venv, fetch and build MicroPython's sources
	@tools/setup

.PHONY: keys
keys: $(BUILD)/keys/image.pem $(BUILD)/keys/digest.pem

# Keys of your own to begin with: whoever has image.pem can update your boards.
$(BUILD)/keys/%.pem: | setup
	@mkdir -p $(@D)
	@$(VENV)/mpota key new $@

# Both commands take from the configuration what is not given here.
FIRMWARE_OPTIONS = $(if $(PRODUCT),--product $(PRODUCT)) $(KEY:%=--image-key %) \
    $(if $(DIGEST_KEY),--digest-key $(DIGEST_KEY)) $(if $(CA),--ca $(CA)) $(if $(SERVER),--server $(SERVER))
IMAGE_OPTIONS = $(if $(PRODUCT),--product $(PRODUCT)) $(if $(KEY),--key $(firstword $(KEY))) --version $(VERSION) --counter $(COUNTER)
MADE_KEYS := $(if $(and $(KEY),$(DIGEST_KEY)),,keys)
# In the recipe of otaapp@NAME.
NAME = $(@:otaapp@%=%)
TO = $(BUILD)/$(NAME)
GEN = $(TO)/gen
IMG = $(or $(OUT),$(CURDIR)/out/$(notdir $(abspath $(APP)))@$(notdir $(TO))-$(VERSION).img)
# What is frozen into a board's firmware: by the board's own manifest, or yours.
FROZEN = $(abspath $(or $(MANIFEST),boards/$(1)/manifest.py))

# Before anything is built.
define CHECK_VALUES
	@printf '%s\n' "$$VERSION" | grep -Eqx '[0-9]+\.[0-9]+\.[0-9]+(\+[0-9]+)?' || { echo "VERSION=$$VERSION: not of the form 1.2.3 or 1.2.3+4" >&2; false; }
	@printf '%s\n' "$$COUNTER" | grep -Eqx '[0-9]+' || { echo "COUNTER=$$COUNTER: not a number" >&2; false; }
	@[ -f $(APP)/main.py ] || { echo "APP=$(APP): no main.py in it" >&2; false; }
	@[ ! -e $(APP)/ota_config.py ] || { echo "$(APP)/ota_config.py: the build makes this module itself" >&2; false; }
endef

LWIP_DIR ?= $(BUILD)/src/lwip
# Where the sources lie, and which tools/setup has put there: unpacked, they are as old as in their package.
SOURCES = $(MICROPY_TOP) $(LWIP_DIR) $(ESP_SDK) $(shell cat $(BUILD)/.micropython $(BUILD)/.lwip 2> /dev/null)

# The folder of a build, $(TO). It is made anew where .built is not that of these sources; a killed build leaves none.
define CONFIGURE
	@[ "$$(cat $(TO)/.built 2> /dev/null)" = "$(SOURCES)" ] || rm -rf $(TO)
	@mkdir -p $(GEN) $(dir $(IMG))
	@$(VENV)/mpota firmware $(GEN) --board $(NAME) $(FIRMWARE_OPTIONS)
	@rm -rf $(GEN)/app && mkdir $(GEN)/app && cp $(APP)/*.py $(GEN)/app
	@printf 'module("%s", base_path="app", opt=3)\n' $(sort $(notdir $(wildcard $(APP)/*.py))) > $(GEN)/app.py
	@rm -f $(TO)/.built
endef
# Behind the make that builds there.
BUILT = > $(TO)/build.log 2>&1; made=$$?; echo "$(SOURCES)" > $(TO)/.built; [ $$made = 0 ] || { tail -n 20 $(TO)/build.log >&2; false; }

.PHONY: menuconfig
menuconfig: setup ## choose board, product, protocol, keys and more for the builds that follow
	@cd boards && $(VENV)/menuconfig

defconfig@%: setup ## begin a configuration anew with the defaults of a board
	@[ -f boards/$*/defconfig ] || { echo "defconfig: there is $(patsubst boards/%/defconfig,%,$(wildcard boards/*/defconfig)), no $*" >&2; false; }
	@$(VENV)/defconfig --kconfig boards/Kconfig boards/$*/defconfig

.PHONY: otaapp
otaapp: setup $(MADE_KEYS) ## build and sign the sample application for the configured board
	@board=$$($(VENV)/mpota config board) && $(MAKE) otaapp@$$board

CORE_C := $(addprefix ota/core/,boot.c image.c rsa.c sha256.c trailer.c)

.PHONY: otaapp@linuxhost
otaapp@linuxhost: setup $(MADE_KEYS) ## build and sign the sample application: VERSION= COUNTER= APP= PRODUCT= KEY= DIGEST_KEY= CA= SERVER= MANIFEST= OUT=
	$(CHECK_VALUES)
	$(CONFIGURE)
	@$(MAKE) -C $(MICROPY_TOP)/ports/unix BUILD=$(TO)/micropython VARIANT_DIR=$(CURDIR)/boards/linuxhost \
	    USER_C_MODULES=$(CURDIR)/ota FROZEN_MANIFEST=$(call FROZEN,linuxhost) MPOTA_GEN=$(GEN) $(BUILT)
	@$(CC) -std=gnu99 -Os -Wall -Wextra -Wno-unused-parameter -Werror -o $(basename $(IMG)).second_boot \
	    -I$(GEN) -Iota/core -Iota/second_boot -Iboards/linuxhost -Iboards/emulator \
	    ota/second_boot/linuxhost.c $(GEN)/boot_config.c boards/linuxhost/hostflash.c \
	    boards/emulator/nor.c boards/emulator/norchip.c $(CORE_C)
	@$(VENV)/mpota image build $(TO)/micropython/firmware $(IMG) --board $(NAME) $(IMAGE_OPTIONS)

FROZEN_FOR_ESP8266 = FROZEN_MANIFEST=$(call FROZEN,esp8266) MICROPY_MANIFEST_MPOTA_DIR=$(CURDIR) \
    MICROPY_MANIFEST_MPOTA_GEN=$(GEN)

.PHONY: otaapp@esp8266 otaapp@esp8266-2m
otaapp@esp8266 otaapp@esp8266-2m: TO = $(BUILD)/$(NAME)$(if $(CHIP),-chip)
otaapp@esp8266: ## the same for the emulated ESP8266; with MICROPY_DIR= and ESP_SDK= for the chip itself
otaapp@esp8266-2m: ## the same for 2 MiB of flash
otaapp@esp8266 otaapp@esp8266-2m: setup $(MADE_KEYS)
	$(CHECK_VALUES)
	@$(if $(CHIP),$(MAKE) -s -C boards/esp8266 check MICROPY_DIR=$(MICROPY_TOP))
	$(CONFIGURE)
	@$(MAKE) -C boards/$(if $(CHIP),esp8266,emulator) BUILD=$(TO) GEN=$(GEN) BOARD=$(NAME) MICROPY_DIR=$(MICROPY_TOP) \
	    LWIP_DIR=$(LWIP_DIR) PYTHON=$(VENV)/python USER_C_MODULES=$(CURDIR)/ota $(FROZEN_FOR_ESP8266) $(BUILT)
	@$(VENV)/mpota image build $(TO)/firmware.bin $(IMG) --board $(NAME) $(IMAGE_OPTIONS)

# The compiler of each architecture that MicroPython has native modules for.
NATMOD := x64=gcc armv6m=arm-none-eabi-gcc armv7m=arm-none-eabi-gcc armv7emsp=arm-none-eabi-gcc xtensa=xtensa-lx106-elf-gcc \
    xtensawin=xtensa-lx106-elf-gcc rv32imc=riscv64-unknown-elf-gcc
natmod_cc = $(patsubst $(1)=%,%,$(filter $(1)=%,$(NATMOD)))
NATMOD_ARCHS = $(foreach pair,$(NATMOD),$(firstword $(subst =, ,$(pair))))
ARCH ?= x64

.PHONY: natmod
natmod: setup ## the patch decoder as a native module for a stock MicroPython, out/ota_patch-ARCH.mpy: ARCH=
	@[ -n "$(call natmod_cc,$(ARCH))" ] || { echo "natmod: ARCH is none of $(NATMOD_ARCHS)" >&2; false; }
	@command -v $(call natmod_cc,$(ARCH)) > /dev/null || { echo "natmod: $(ARCH) needs $(call natmod_cc,$(ARCH)), which is not installed" >&2; false; }
	@$(MAKE) natmod@$(ARCH)

.PHONY: natmods
natmods: setup ## the same for every architecture whose compiler is installed
	@for arch in $(NATMOD); do command -v $${arch#*=} > /dev/null || echo "natmods: $${arch%%=*} needs $${arch#*=}, which is not installed"; done
	@$(MAKE) $(foreach arch,$(NATMOD_ARCHS),$(if $(shell command -v $(call natmod_cc,$(arch))),natmod@$(arch)))

natmod@%:
	@mkdir -p out $(BUILD)/natmod/$*
	@$(MAKE) -s -f ota/module/natmod.mk ARCH=$* MPY_DIR=$(MICROPY_TOP) BUILD=$(BUILD)/natmod/$* MOD=out/ota_patch-$* \
	    PYTHON=$(VENV)/python > $(BUILD)/natmod/$*/build.log 2>&1 || { tail -n 20 $(BUILD)/natmod/$*/build.log >&2; false; }

.PHONY: demo
demo: setup keys ## the whole story on this computer; BOARD=linuxhost on the Linux board
	@$(VENV)/python tests/e2e/demo.py $(BOARD)

.PHONY: test
test: export KCONFIG_CONFIG := /dev/null
test: setup ## every test that CI runs
	@$(MAKE) -s -C tests/core BUILD=$(BUILD) PYTHON=$(VENV)/python
	@$(VENV)/python -m pytest -q -n 2 --dist loadscope tests

.PHONY: prove
prove: setup ## cut the power inside every flash operation: BOARD= QUICK=1, or ID= to see one life again
	@$(VENV)/python tests/sim/prove.py $(if $(BOARD),--board $(BOARD)) $(if $(QUICK),--quick) $(if $(ID),--id $(ID))

BOARDS ?= 1000

.PHONY: fleet
fleet: setup keys ## many boards at once, each a process, and one server: BOARDS= CHANNEL=mqtt or coap
	@$(VENV)/python tests/e2e/fleet.py --boards $(BOARDS) $(if $(CHANNEL),--channel $(CHANNEL))

SECONDS ?= 60

.PHONY: fuzz
fuzz: setup ## fuzz every parser for SECONDS= each: ONLY=, or ONLY= INPUT= to see one input again
	@$(VENV)/python tests/fuzz/run.py --seconds $(SECONDS) $(if $(ONLY),--only $(ONLY)) $(if $(INPUT),--input $(INPUT))

.PHONY: bench
bench: setup keys ## sizes of patches beside other engines', instruction counts, ratios: CORPUS=
	@tools/setup bench
	@$(BUILD)/venv-bench/bin/python tests/bench/bench_patch.py
	@$(VENV)/python tests/bench/core.py
	@$(VENV)/python tests/bench/service.py
	@$(VENV)/python tests/bench/bench_coap.py
	@$(VENV)/python tests/bench/esp8266.py

.PHONY: size
size: ## flash and RAM per board
	@for board in esp8266 linuxhost; do $(MAKE) EMULATED=yes otaapp@$$board OUT=$(BUILD)/size/$$board.img > /dev/null || exit 1; done
	@$(VENV)/python tests/bench/size.py $(BUILD)

.PHONY: lock
lock: setup ## pin the Python packages anew
	@$(VENV)/pip install -q pip-tools
	@for list in tools tests/bench; do $(VENV)/pip-compile -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url \
	    --no-emit-find-links --no-emit-trusted-host -o $$list/requirements.txt $$list/requirements.in || exit 1; done

.PHONY: clean
clean: ## remove everything made but build/keys: without its key no board can be updated any more
	@[ ! -d $(BUILD) ] || find $(BUILD)/ -mindepth 1 -maxdepth 1 ! -name keys -exec rm -rf {} +
	@rm -rf out
