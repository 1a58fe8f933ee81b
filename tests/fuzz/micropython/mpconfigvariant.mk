# Build settings of that MicroPython; BUILD, FROZEN_MANIFEST, USER_C_MODULES and LIBFUZZER come from tests/fuzz/Makefile.
# MicroPython itself is built for the address sanitizer alone, and its collector, which reads all of the stack, for none.
PROG = fuzz_python
MICROPY_PY_SSL = 0
MICROPY_SSL_AXTLS = 0
MICROPY_SSL_MBEDTLS = 0
MICROPY_PY_BTREE = 0
MICROPY_PY_FFI = 0
MICROPY_PY_THREAD = 0
STRIP =

COPT = -O1 -Wno-error
CFLAGS += -g -fsanitize=address -fsanitize-address-use-after-return=never -fno-omit-frame-pointer
LDFLAGS_EXTRA += -fsanitize=address,undefined $(LIBFUZZER) -lstdc++

OURS := -fsanitize=undefined -fno-sanitize=function -fno-sanitize-recover=undefined -fsanitize=fuzzer-no-link
$(BUILD)/module/%.o: CFLAGS += $(OURS)
$(BUILD)/core/%.o: CFLAGS += $(OURS)
$(BUILD)/extmod/modjson.o: CFLAGS += -fsanitize=fuzzer-no-link
$(BUILD)/py/gc.o $(BUILD)/shared/runtime/gchelper_generic.o: CFLAGS += -fno-sanitize=address
