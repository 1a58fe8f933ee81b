// The machine's settings: name=value words that QEMU's semihosting passes as program arguments.
// SPDX-License-Identifier: MIT
#include "rom.h"

#define MAX_WORDS 32

static uint32_t number(const char *s) {
    uint32_t v = 0, base = 10;
    if (s[0] == '0' && s[1] == 'x') {
        base = 16;
        s += 2;
    }
    for (; *s; s++) {
        uint32_t digit = *s <= '9' ? (uint32_t)(*s - '0') : (uint32_t)((*s | 0x20) - 'a' + 10);
        if (digit >= base) {
            machine_stop(MACHINE_SETTINGS, "setting is not a number, at character", (uint32_t)*s);
        }
        v = v * base + digit;
    }
    return v;
}

static const char *value(const char *word, const char *name) {
    size_t n = strlen(name);
    return strncmp(word, name, n) == 0 && word[n] == '=' ? word + n + 1 : NULL;
}

static void path(char *out, const char *v) {
    size_t n = strlen(v);
    if (n >= sizeof(((struct settings *)0)->flash)) {
        machine_stop(MACHINE_SETTINGS, "path too long, bytes", n);
    }
    memcpy(out, v, n + 1);
}

// Words the ROM does not know belong to the firmware (access point, control file).
void settings_read(struct settings *s) {
    static char text[4096] __attribute__((section(".emulator")));
    char **words = (char **)text;
    int count = simcall(SIM_ARGC, 0, 0, 0);
    if (count > MAX_WORDS || simcall(SIM_ARGV_SIZE, 0, 0, 0) > (int)sizeof(text)) {
        machine_stop(MACHINE_SETTINGS, "too many settings", (uint32_t)count);
    }
    simcall(SIM_ARGV, (uint32_t)text, 0, 0);
    memset(s, 0, sizeof(*s));
    s->size = 0x400000;
    static const struct { const char *name; uint32_t offset; } numbers[] = {
        {"size", offsetof(struct settings, size)}, {"strict", offsetof(struct settings, strict)},
        {"cut", offsetof(struct settings, cut_at)}, {"kind", offsetof(struct settings, cut_kind)},
        {"seed", offsetof(struct settings, cut_seed)}, {"watchdog", offsetof(struct settings, watchdog_ms)},
    };
    for (int i = 0; i < count; i++) {
        const char *v;
        if ((v = value(words[i], "flash"))) {
            path(s->flash, v);
        } else if ((v = value(words[i], "state"))) {
            path(s->state, v);
        }
        for (size_t k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++) {
            if ((v = value(words[i], numbers[k].name))) {
                *(uint32_t *)((char *)s + numbers[k].offset) = number(v);
            }
        }
    }
}
