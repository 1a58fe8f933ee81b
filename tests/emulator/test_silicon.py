"""What can be shown of the chip's own build without its SDK: the bank override runs, and what is missing is said in a line."""

import subprocess

import pytest
from machine import CC, GEN, PRELUDE, REPO, Board, esp8266
from test_rom import FLASH

SILICON = REPO / "boards" / "esp8266" / "silicon"


@pytest.mark.parametrize("slot", [0x010000, 0x110000, 0x310000])
def test_sdks_request_for_bank_zero_maps_the_slots_bank(tmp_path, slot):
    """As libmain does: Cache_Read_Enable(0, 0, 1), which the linker resolves to ours."""
    (tmp_path / "program.c").write_text(PRELUDE + FLASH + """
#include "ota/second_boot/handover.h"
void start(void) {
    struct ota_handover h = {.slot = 1, .offset = %d};
    ota_handover_put((volatile uint32_t *)BOARD_RTC_HANDOVER, &h);
    Cache_Read_Enable(0, 0, 1);
    ets_printf("word %%x\\n", *(volatile uint32_t *)(BOARD_WINDOW + 0x20000));
    STOP;
}""" % slot)
    out = tmp_path / "program.elf"
    subprocess.run([CC, "-Os", "-mlongcalls", "-mtext-section-literals", "-I", REPO / "boards/emulator/include", "-I", REPO / "boards/emulator",
                    "-I", GEN, "-I", REPO, "-I", SILICON, "-nostdlib", "-Wl,-e,start", "-Wl,-Ttext=0x40100000", "-Wl,-Tdata=0x3ffe8000",
                    "-Wl,-Tbss=0x3fff0000", "-Wl,--section-start=.rodata=0x3ffe9000", "-Wl,--section-start=.iram0.text=0x40104000", tmp_path / "program.c", SILICON / "bank.c",
                    GEN.parent / "rom" / "rom.ld", "-o", out, "-lgcc"], check=True)
    parts = {0: esp8266.pack(*esp8266.elf_segments(out.read_bytes()))} | {bank << 20 | 0x20000: bytes([0x11 * bank] * 4) for bank in range(4)}
    with Board(tmp_path, parts) as board:
        board.port.expect(f"word {0x11111111 * (slot >> 20):x}\r")


@pytest.mark.parametrize("words, said", [
    (["MICROPY_DIR="], "give MICROPY_DIR="), (["MICROPY_DIR=/nowhere"], "has no ports/esp8266"),
])
def test_what_is_missing_is_said_in_one_line(words, said):
    done = subprocess.run(["make", "-s", "-C", REPO / "boards" / "esp8266", "check", *words], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert [line for line in done.stdout.splitlines() if line.startswith("esp8266:")] == [line for line in done.stdout.splitlines() if line]
    assert said in done.stdout


def test_linker_script_places_the_image_where_the_payload_must_be():
    script = subprocess.run([CC, "-E", "-P", "-x", "c", "-I", GEN, SILICON / "slot.ld.h"], capture_output=True, text=True, check=True).stdout
    from machine import IROM
    assert f"irom0_0_seg : org = {IROM:#x}" in script
