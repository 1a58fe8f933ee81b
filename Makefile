# The list of entry points. Everything made goes to build/; tools/setup installs what is missing.
# SPDX-License-Identifier: MIT

BUILD := $(CURDIR)/build
VENV := $(BUILD)/venv/bin
MICROPY_DIR ?=
MICROPY_TOP := $(if $(MICROPY_DIR),$(abspath $(MICROPY_DIR)),$(BUILD)/src/micropython)
export MICROPY_DIR MPOTA_BUILD := $(BUILD)
export SOURCE_DATE_EPOCH := 0
MAKEFLAGS += --no-print-directory

# What a firmware is built from; each can be given on the command line.
APP ?= otaapp
VERSION ?= 1.0.0
COUNTER ?= 1
PRODUCT ?= a1mpotademo
KEY ?= $(BUILD)/keys/image.pem
DIGEST_KEY ?= $(BUILD)/keys/digest.pem
CA ?=
SERVER ?=
OUT ?= $(CURDIR)/out/$(notdir $(APP))@linuxhost-$(VERSION).img

.PHONY: help
help:
	@sed -n 's/^\([a-z@%A-Z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 24

.PHONY: setup
setup: ## install what is missing, make build/venv, fetch and build MicroPython's sources
	@tools/setup
