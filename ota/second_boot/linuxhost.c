// The second boot of the linuxhost board: decides as on a chip, then runs the image as a child under a watchdog.
// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "board.h"
#include "hostflash.h"
#include "linuxhost.h"
#include "second_boot.h"

enum { EXIT_NOTHING_BOOTS = 3, RESET_WATCHDOG = 1, RESET_ASKED = 2 };

static void fail(const char *what) {
    fprintf(stderr, "second boot: %s: %s\n", what, strerror(errno));
    exit(1);
}

// Copies the payload from flash into an anonymous file that can be executed.
static int load(const struct ota_io *io, const struct ota_boot_choice *choice) {
    static uint8_t chunk[4096];
    int fd = memfd_create("image", MFD_CLOEXEC);
    if (fd < 0) {
        fail("memfd");
    }
    for (uint32_t done = 0; done < choice->payload_size;) {
        uint32_t n = choice->payload_size - done;
        n = n < sizeof(chunk) ? n : sizeof(chunk);
        if (io->read(io->ctx, choice->offset + done, chunk, n) < 0 || write(fd, chunk, n) != (ssize_t)n) {
            fail("image");
        }
        done += n;
    }
    return fd;
}

static void start(int image, int watchdog, const char *flash, uint8_t slot) {
    // The application as __main__, and Python's prompt when it ends. With -m, one that raises would end the process.
    static char *const args[] = { "image", "-i", "-c", "__import__('main', None, None, False)", NULL };
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_DFL);
    if (dup2(watchdog, LINUXHOST_WATCHDOG_FD) < 0) {
        fail("watchdog");
    }
    setenv(LINUXHOST_ENV_FLASH, flash, 1);
    setenv(LINUXHOST_ENV_SLOT, slot ? "1" : "0", 1);
    fexecve(image, args, environ);
    fail("exec");
}

// Waits for the child. The watchdog, if armed, kills a child that does not feed it.
static int supervise(pid_t child, int feed, bool armed) {
    char bytes[64];
    struct pollfd p = { .fd = feed, .events = POLLIN };
    int ms = BOARD_WATCHDOG_MS;
    for (;;) {
        int n = poll(&p, 1, armed ? ms : -1);
        if (n == 0) {
            fprintf(stderr, "second boot: watchdog\n");
            kill(child, SIGKILL);
            waitpid(child, NULL, 0);
            return RESET_WATCHDOG;
        }
        if (n < 0) {
            continue; // a signal
        }
        ssize_t got = read(feed, bytes, sizeof(bytes));
        if (got <= 0) {
            break; // the child has ended
        }
        ms = bytes[got - 1] ? LINUXHOST_BLOCKING_MS : BOARD_WATCHDOG_MS;
    }
    int status;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == LINUXHOST_EXIT_RESET) {
        return RESET_ASKED;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && !armed) {
        exit(0); // switched off; in a trial it is an image that did not work, at whose prompt nobody was
    }
    if (WIFEXITED(status)) {
        fprintf(stderr, "second boot: image ended with status %d\n", WEXITSTATUS(status));
    } else {
        fprintf(stderr, "second boot: image died of signal %d\n", WTERMSIG(status));
    }
    return RESET_WATCHDOG;
}

static int run(const struct ota_io *io, const struct ota_boot_choice *choice, const char *flash) {
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0) {
        fail("pipe");
    }
    int image = load(io, choice);
    pid_t child = fork();
    if (child == 0) {
        start(image, pipes[1], flash, choice->slot);
    }
    if (child < 0) {
        fail("fork");
    }
    close(image);
    close(pipes[1]);
    int cause = supervise(child, pipes[0], choice->how == OTA_BOOT_TRIAL);
    close(pipes[0]);
    return cause;
}

int main(int argc, char **argv) {
    static ota_boot_t boot;
    static const char *const how[] = { "nothing boots", "confirmed", "trial", "verified" };
    struct ota_boot_config config = second_boot_config;
    struct ota_io io;
    if (argc != 2) {
        fprintf(stderr, "usage: second_boot FLASH\n");
        return 2;
    }
    const char *fault = hostflash_open(&io, argv[1], BOARD_FLASH_SIZE, BOARD_FLASH_SECTOR);
    if (fault) {
        fprintf(stderr, "second boot: %s: %s\n", argv[1], fault);
        return 1;
    }
    signal(SIGINT, SIG_IGN); // a terminal's Ctrl-C is for the image
    for (;;) {
        struct ota_boot_choice choice;
        if (ota_boot_choose(&boot, &io, &config, &choice) < 0) {
            fprintf(stderr, "second boot: %s: flash cannot be read\n", argv[1]);
            return 1;
        }
        if (choice.how == OTA_BOOT_CONSOLE) {
            fprintf(stderr, "second boot: nothing boots\n");
            return EXIT_NOTHING_BOOTS;
        }
        fprintf(stderr, "second boot: slot %c, %s", 'A' + choice.slot, how[choice.how]);
        fprintf(stderr, choice.trial ? " %u of %u\n" : "\n", choice.trial, config.tries);
        config.suspicious = run(&io, &choice, argv[1]) == RESET_WATCHDOG;
    }
}
