"""What the emulator's tests share: building its parts, small programs, a serial port that expects things."""

import dataclasses
import os
import re
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import otacore

REPO = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPO / "tools"))

from mpota import board, config, emulate, esp8266, firmware  # noqa: E402

BUILD = Path(os.environ.get("MPOTA_BUILD", REPO / "build")) / "emulator"
PRODUCT = "product-key"
GEN = BUILD / "gen"
BOARD = board.load("esp8266", REPO / "boards")
SLOT_A, SLOT_B = (slot.offset for slot in BOARD.slots)
SLOT_SIZE, SECTOR, HEADER = BOARD.slots[0].size, BOARD.sector, BOARD.header_size
TRAILER = SLOT_SIZE - SECTOR
SIZE = BOARD.flash_size
IROM = BOARD.payload_address + 16
CC = "xtensa-lx106-elf-gcc"


def source(name):
    """An unpacked source tree: $MICROPY_DIR, $LWIP_DIR, or what set-up left in build/src."""
    given = os.environ.get(f"{name.upper().replace('MICROPYTHON', 'MICROPY')}_DIR")
    found = [Path(given)] if given else sorted((BUILD.parent / "src").glob(f"{name}*/"))
    return found[-1] if found else None


def make(target, facts=BOARD, build=BUILD, options=None, **variables):
    """Runs boards/emulator/Makefile for one target and one board. options: a config.Config, the defaults if not given."""
    gen = build / "gen"
    trust = firmware.Trust(PRODUCT, (otacore.public_der(),), None, None)
    firmware.generate(dataclasses.replace(facts, vendor=otacore.VENDOR), trust, options or config.load(os.devnull, REPO / "boards"), gen)
    words = {"BUILD": build, "BOARD": facts.name, "PYTHON": sys.executable} | variables
    done = subprocess.run(["make", "-C", REPO / "boards" / "emulator", target, *(f"{k}={v}" for k, v in words.items())],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def image(payload, **options):
    """A signed image for the emulated board."""
    return otacore.image(payload=payload, header=HEADER, cls=options.pop("cls", f"{PRODUCT}/esp8266"), **options)


PRELUDE = """
#include <stdbool.h>
#include <string.h>
#include "machine.h"
#include "board.h"
int ets_printf(const char *format, ...);
int SPIRead(uint32_t a, void *d, uint32_t n); int SPIWrite(uint32_t a, const void *s, uint32_t n);
int SPIEraseSector(uint32_t s); int SPIEraseBlock(uint32_t b); int SPIEraseArea(uint32_t a, uint32_t n); int SPIEraseChip(void);
extern struct flashchip *flashchip; int SPIUnlock(void); int SPILock(void); int SPIReadModeCnfig(uint32_t mode);
int SPI_read_status(struct flashchip *f, uint32_t *s); int SPI_write_status(struct flashchip *f, uint32_t s);
int SPI_write_enable(struct flashchip *f); int Wait_SPI_Idle(struct flashchip *f);
void Cache_Read_Enable(uint8_t odd, uint8_t mb, uint8_t size); void Cache_Read_Disable(void);
uint32_t rtc_get_reset_reason(void); void software_reset(void); void ets_delay_us(uint32_t us);
void uart_div_modify(uint32_t uart, uint32_t divisor); void rom_i2c_writeReg(uint8_t block, uint8_t host, uint8_t reg, uint8_t data);
void ets_wdt_enable(uint32_t mode, uint32_t a, uint32_t b); int uart_rx_one_char(uint8_t *c);
#define STOP simcall(SIM_EXIT, 0, 0, 0)
"""


def elf(folder, code, irom=None):
    """Compiles a program that runs from IRAM; functions marked IROM go into the window at `irom`."""
    folder.mkdir(parents=True, exist_ok=True)
    text, out = folder / "program.c", folder / "program.elf"
    text.write_text(PRELUDE + "#define IROM __attribute__((section(\".irom.text\"), noinline))\n" + code)
    places = ["-Wl,-Ttext=0x40100000", "-Wl,-Tdata=0x3ffe8000", "-Wl,-Tbss=0x3fff0000", "-Wl,--section-start=.rodata=0x3ffe9000"]
    if irom is not None:
        places.append(f"-Wl,--section-start=.irom.text={irom:#x}")
    emulator = REPO / "boards" / "emulator"
    subprocess.run([CC, "-Os", "-mlongcalls", "-mtext-section-literals", "-fno-jump-tables", "-I", emulator / "include", "-I", emulator,
                    "-I", GEN, "-nostdlib", "-Wl,-e,start", *places, text, BUILD / "rom" / "rom.ld", "-o", out, "-lgcc"],
                   check=True, capture_output=True)
    return out.read_bytes()


def program(folder, code, irom=None):
    """The same as an image the ROM loads."""
    return esp8266.pack(*esp8266.elf_segments(elf(folder, code, irom)))


class Port:
    """A serial port that waits for what it should say. Everything heard is in `heard`."""

    def __init__(self, url):
        host, port = re.fullmatch(r"socket://(.*):(\d+)", url).groups()
        self._socket = socket.create_connection((host, int(port)))
        self.heard = b""
        self._seen = 0

    def send(self, data):
        self._socket.sendall(data if isinstance(data, bytes) else data.encode())

    def read(self, timeout=0.1):
        """What comes within the timeout, possibly nothing."""
        self._socket.settimeout(timeout)
        try:
            data = self._socket.recv(4096)
        except TimeoutError:
            return b""
        self.heard += data
        return data

    def expect(self, pattern, timeout=10):
        """Waits for a regular expression in what follows the last match; returns the match."""
        end = time.monotonic() + timeout
        while True:
            found = re.compile(pattern.encode(), re.DOTALL).search(self.heard, self._seen)
            if found:
                self._seen = found.end()
                return found
            assert time.monotonic() < end, f"{pattern!r} not heard in {self.heard[self._seen:]!r}"
            self.read()

    def close(self):
        self._socket.close()


class Board(emulate.Emulator):
    """An emulated board with a port attached before it starts."""

    def __init__(self, folder, parts, size=SIZE, **settings):
        folder.mkdir(parents=True, exist_ok=True)
        self.flash = folder / "flash.bin"
        if parts is not None:
            emulate.blank(self.flash, size, parts)
        super().__init__(emulate.Settings(rom=BUILD / "rom" / "rom.elf", flash=self.flash, size=size, **settings))
        self.port = Port(self.url)

    def close(self):
        self.port.close()
        super().close()


def nor_state(path):
    """(operations, programs, erases, wear) of a flash chip's state file (boards/emulator/nor.h)."""
    data = path.read_bytes()
    operations, programs, erases = struct.unpack_from("<III", data, 20)
    wear = struct.unpack(f"<{SIZE // SECTOR}I", data[-4 * 4096:][: 4 * (SIZE // SECTOR)])
    return operations, programs, erases, wear
