# Build settings of the campaign's MicroPython; BUILD, FROZEN_MANIFEST and USER_C_MODULES come from tests/sim/Makefile.
# Lives of failing allocations run ota/ as it is frozen; the power-cut campaign also runs copies of it with a fault seeded in, from files.
PROG = prover
# Lives are many.
COPT = -O2 -DNDEBUG
MICROPY_PY_SSL = 0
MICROPY_SSL_AXTLS = 0
MICROPY_SSL_MBEDTLS = 0
MICROPY_PY_BTREE = 0
MICROPY_PY_FFI = 0
MICROPY_PY_THREAD = 0

INC += -I$(abspath $(VARIANT_DIR)/..)
# modstarve.c stands before the heap.
LDFLAGS_EXTRA += -Wl,--wrap=gc_alloc -Wl,--wrap=gc_realloc
MICROPY_MANIFEST_MPOTA_DIR = $(abspath $(VARIANT_DIR)/../../../..)
