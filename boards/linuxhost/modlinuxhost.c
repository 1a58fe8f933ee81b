// `_linuxhost`: flash, watchdog and reset of the board in a Linux process.
// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "py/mphal.h"
#include "py/runtime.h"

#include "board.h"
#include "hostflash.h"
#include "linuxhost.h"

static struct ota_io io;

static const struct ota_io *flash(void) {
    if (io.size == 0) {
        const char *path = getenv(LINUXHOST_ENV_FLASH);
        const char *fault = path ? hostflash_open(&io, path, BOARD_FLASH_SIZE, BOARD_FLASH_SECTOR) : "not started by the second boot";
        if (fault) {
            mp_raise_msg_varg(&mp_type_OSError, MP_ERROR_TEXT("%s"), fault);
        }
    }
    return &io;
}

static mp_obj_t done(int r) {
    if (r < 0) {
        mp_raise_OSError(-r);
    }
    return mp_const_none;
}

static mp_obj_t flash_read(mp_obj_t offset, mp_obj_t buf) {
    mp_buffer_info_t info;
    mp_get_buffer_raise(buf, &info, MP_BUFFER_WRITE);
    return done(flash()->read(io.ctx, (uint32_t)mp_obj_get_int(offset), info.buf, (uint32_t)info.len));
}
static MP_DEFINE_CONST_FUN_OBJ_2(flash_read_obj, flash_read);

static mp_obj_t flash_write(mp_obj_t offset, mp_obj_t buf) {
    mp_buffer_info_t info;
    mp_get_buffer_raise(buf, &info, MP_BUFFER_READ);
    return done(flash()->write(io.ctx, (uint32_t)mp_obj_get_int(offset), info.buf, (uint32_t)info.len));
}
static MP_DEFINE_CONST_FUN_OBJ_2(flash_write_obj, flash_write);

static mp_obj_t flash_erase(mp_obj_t sector) {
    return done(flash()->erase(io.ctx, (uint32_t)mp_obj_get_int(sector) * BOARD_FLASH_SECTOR, BOARD_FLASH_SECTOR));
}
static MP_DEFINE_CONST_FUN_OBJ_1(flash_erase_obj, flash_erase);

static mp_obj_t slot(void) {
    const char *text = getenv(LINUXHOST_ENV_SLOT);
    if (!text) {
        mp_raise_msg(&mp_type_OSError, MP_ERROR_TEXT("not started by the second boot"));
    }
    return MP_OBJ_NEW_SMALL_INT(text[0] == '1');
}
static MP_DEFINE_CONST_FUN_OBJ_0(slot_obj, slot);

static mp_obj_t feed(mp_obj_t blocking) {
    char c = mp_obj_is_true(blocking);
    if (write(LINUXHOST_WATCHDOG_FD, &c, 1) < 0 && errno != EAGAIN) {
        mp_raise_OSError(errno);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(feed_obj, feed);

static mp_obj_t reset(void) {
    mp_hal_stdio_mode_orig();
    _exit(LINUXHOST_EXIT_RESET);
}
static MP_DEFINE_CONST_FUN_OBJ_0(reset_obj, reset);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__linuxhost) },
    { MP_ROM_QSTR(MP_QSTR_flash_read), MP_ROM_PTR(&flash_read_obj) },
    { MP_ROM_QSTR(MP_QSTR_flash_write), MP_ROM_PTR(&flash_write_obj) },
    { MP_ROM_QSTR(MP_QSTR_flash_erase), MP_ROM_PTR(&flash_erase_obj) },
    { MP_ROM_QSTR(MP_QSTR_slot), MP_ROM_PTR(&slot_obj) },
    { MP_ROM_QSTR(MP_QSTR_feed), MP_ROM_PTR(&feed_obj) },
    { MP_ROM_QSTR(MP_QSTR_reset), MP_ROM_PTR(&reset_obj) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t linuxhost_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};
MP_REGISTER_MODULE(MP_QSTR__linuxhost, linuxhost_module);
