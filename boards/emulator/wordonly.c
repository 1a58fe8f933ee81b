// A QEMU plugin: on the chip, instruction RAM and flash are read and written by whole words only. An instruction that takes
// a byte or a half-word of them stops the machine.
// SPDX-License-Identifier: MIT
//
// No package brings QEMU's header for plugins, so what is used of it is declared here.
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine.h"

#define WORDS_FROM 0x40100000u
#define WORDS_BYTES (FLASH_WINDOW + FLASH_BANK_BYTES - WORDS_FROM)
enum { CB_NO_REGS = 0, MEM_READ_AND_WRITE = 3 };

struct qemu_plugin_tb;
struct qemu_plugin_insn;
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*cb)(uint64_t id, struct qemu_plugin_tb *tb));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
    void (*cb)(unsigned cpu, uint32_t info, uint64_t address, void *from), int flags, int rw, void *from);

__attribute__((visibility("default"))) int qemu_plugin_version = PLUGIN_VERSION;

static void narrow(unsigned cpu, uint32_t info, uint64_t address, void *from) {
    (void)cpu, (void)info;
    if (address - WORDS_FROM < WORDS_BYTES) {
        fprintf(stderr, "mpota: access by less than a word to %08" PRIx64 " from %08" PRIxPTR "\n", address, (uintptr_t)from);
        _exit(MACHINE_MISUSE);
    }
}

static bool is_narrow(const char *text) {
    return strncmp(text, "l8", 2) == 0 || strncmp(text, "s8", 2) == 0 || strncmp(text, "l16", 3) == 0 || strncmp(text, "s16", 3) == 0;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        char *text = qemu_plugin_insn_disas(insn);
        if (text && is_narrow(text)) {
            void *from = (void *)(uintptr_t)qemu_plugin_insn_vaddr(insn);
            qemu_plugin_register_vcpu_mem_cb(insn, narrow, CB_NO_REGS, MEM_READ_AND_WRITE, from);
        }
        free(text);
    }
}

__attribute__((visibility("default"))) int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv) {
    (void)info, (void)argc, (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
