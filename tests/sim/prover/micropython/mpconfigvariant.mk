# Build settings of the campaign's MicroPython; BUILD, FROZEN_MANIFEST and USER_C_MODULES come from tests/sim/Makefile.
# ota/ is not frozen: the campaign also runs copies of it with a fault seeded in.
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
