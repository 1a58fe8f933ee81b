// A bare machine under QEMU with files of the host: what each one provides to a test's main().
// SPDX-License-Identifier: MIT
#ifndef TEST_BARE_H
#define TEST_BARE_H

#include <stdint.h>

#define BARE_READ 0
#define BARE_WRITE 1

int bare_open(const char *path, int mode);
int bare_read(int fd, void *buf, uint32_t n); // bytes read
void bare_write(int fd, const void *buf, uint32_t n);
void bare_exit(int status);
uint32_t bare_ticks(void); // goes up with executed instructions
extern const uint32_t bare_instructions_per_tick;
extern uint8_t *const bare_memory; // at least 8 MiB

int main(void);

#endif
