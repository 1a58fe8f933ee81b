// SPDX-License-Identifier: MIT
#include <stdint.h>

#include "py/mpconfig.h"
#include "shared/runtime/interrupt_char.h"
