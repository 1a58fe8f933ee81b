// Included before every file of the binding that goes into the native module: the runtime behind a table of functions.
// SPDX-License-Identifier: MIT
#ifndef NATMOD_H
#define NATMOD_H

#include "py/dynruntime.h"

#define mp_call_function_0(f) mp_call_function_n_kw((f), 0, 0, NULL)
#define mp_call_function_2(f, a, b) mp_call_function_n_kw((f), 2, 0, ((mp_obj_t[]) {(a), (b)}))

// GCC 12 folds an index into the address of the table of names; mpy_ld.py knows the address of the table only.
static inline const uint16_t *natmod_qstrs(void) {
    const uint16_t *table = mp_native_qstr_table;
    __asm__ ("" : "+r" (table));
    return table;
}
#define mp_native_qstr_table (natmod_qstrs())

#endif
