// What loads a native module and reads files from RAM; for the rest, as upstream's ports of its size.
// SPDX-License-Identifier: MIT
#include <alloca.h>
#include <stdint.h>
#include <sys/types.h>

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)
#define MICROPY_FLOAT_IMPL (MICROPY_FLOAT_IMPL_NONE)
#define MICROPY_LONGINT_IMPL (MICROPY_LONGINT_IMPL_MPZ)
#define MICROPY_EMIT_XTENSAWIN (1)
#define MICROPY_NLR_SETJMP (1)
#define MICROPY_ENABLE_GC (1)
#define MICROPY_PERSISTENT_CODE_LOAD (1)
#define MICROPY_USE_INTERNAL_ERRNO (1)
#define MICROPY_HELPER_REPL (1)
#define MICROPY_KBD_EXCEPTION (0)
#define MICROPY_VFS (1)
#define MICROPY_VFS_ROM (1)
#define MICROPY_READER_VFS (1)
#define MICROPY_VFS_ROM_IOCTL (0)
#define MICROPY_PY_MICROPYTHON_RINGIO (0)
#define MICROPY_PY_SYS_STDFILES (0)
#define MICROPY_PY_TIME (0)
#define MICROPY_PY_MACHINE (0)
#define MICROPY_PY_SELECT (0)
#define MICROPY_PY_ASYNCIO (0)
#define MICROPY_PY_RANDOM (0)
#define MICROPY_PY_DEFLATE (0)
#define MICROPY_PY_FRAMEBUF (0)
#define MICROPY_PY_SYS_PLATFORM "qemu"
#define MICROPY_HW_BOARD_NAME "windowed Xtensa under qemu-xtensa"
#define MICROPY_HW_MCU_NAME "dc232b"

#define MP_SSIZE_MAX (0x7fffffff)
#define UINT_FMT "%u"
#define INT_FMT "%d"
typedef int32_t mp_int_t;
typedef uint32_t mp_uint_t;
typedef long mp_off_t;

#define MP_STATE_PORT MP_STATE_VM
#define MP_NEED_LOG2 (1)
