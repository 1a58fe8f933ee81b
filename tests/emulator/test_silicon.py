"""What can be shown of the chip's own build without its SDK: the bank override runs, and what is missing is said in a line."""

import re
import subprocess

import pytest
from machine import CC, GEN, IROM, PRELUDE, REPO, Board, esp8266, source
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


RF_WRITE = """
#include <stdio.h>
#include "%s"
static uint8_t cells[128];
static uint32_t cut, writes;
uint32_t mpota_bank(void) { return 3; }
int SPIParamCfg(uint32_t id, uint32_t chip, uint32_t block, uint32_t sector, uint32_t page, uint32_t mask) { return 0; }
int SPIRead(uint32_t at, void *to, uint32_t n) {
    memcpy(to, at == RF_PARAMETERS ? cells : default_init_data, n);
    return 0;
}
int SPIWrite(uint32_t at, const void *from, uint32_t n) {
    writes += at == RF_PARAMETERS;
    for (uint32_t i = 0; i < n && i < cut; i++) cells[i] &= ((const uint8_t *)from)[i];
    return 0;
}
static void boot(uint32_t bytes) { cut = bytes; mpota_start(); }
int main(void) {
    for (uint32_t bytes = 0; bytes <= 128; bytes++) {
        memset(cells, 0xff, sizeof(cells));
        boot(bytes);
        boot(128);
        if (memcmp(cells, default_init_data, 128) != 0) return 1;
        writes = 0;
        boot(128);
        if (writes != 0) return 2;
    }
    for (uint32_t i = 0; i < 2; i++) { // the owner's own
        memcpy(cells, default_init_data, 128);
        cells[107] = i ? 0xff : 1;
        boot(128);
        if (writes != 0 || cells[107] != (i ? 0xff : 1)) return 3;
    }
    return 0;
}"""


def test_rf_parameters_whose_write_was_cut_are_completed_and_the_owners_are_kept(tmp_path):
    """start.c on this computer, with data in the place of upstream's."""
    data = ", ".join(str(n * 37 % 251 * (n < 100)) for n in range(128))
    (tmp_path / "esp_init_data.c").write_text("#include <stdint.h>\n#include <string.h>\nint SPIRead(uint32_t, void *, uint32_t);\n"
                                              "int SPIWrite(uint32_t, const void *, uint32_t);\n"
                                              f"static const uint8_t default_init_data[] __attribute__((aligned(4))) = {{ {data} }};\n")
    (tmp_path / "main.c").write_text(RF_WRITE % (SILICON / "start.c"))
    subprocess.run(["gcc", "-std=c99", "-w", "-Dasm(x)=", "-I", tmp_path, "-I", GEN, "-I", REPO, tmp_path / "main.c", "-o", tmp_path / "rf"], check=True)
    assert subprocess.run([tmp_path / "rf"]).returncode == 0


def checked(*words):
    """What `make check` says is missing; a line for it, or none."""
    done = subprocess.run(["make", "-s", "-C", REPO / "boards" / "esp8266", "check", *words], capture_output=True, text=True, check=False)
    said = done.stdout.splitlines()
    assert (done.returncode == 0) == (said == []) and len(said) <= 1, done.stdout
    return said[0] if said else ""


def test_what_is_missing_is_said_in_one_line(tmp_path):
    words = [f"MICROPY_DIR={tmp_path}", f"ESP_SDK={tmp_path}/sdk"]
    assert "give MICROPY_DIR=" in checked("MICROPY_DIR=")
    assert "has no ports/esp8266" in checked(*words)
    for path, missing in (("ports/esp8266/Makefile", "lib/axtls is empty"), ("lib/axtls/x", "lib/berkeley-db-1.xx is empty"),
                          ("lib/berkeley-db-1.xx/x", "lib/micropython-lib is empty"), ("lib/micropython-lib/x", "no ESP8266 NONOS SDK"),
                          ("sdk/include/user_interface.h", "")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
        assert missing in checked(*words)


def test_chips_second_boot_is_the_emulators(tmp_path, second_boot):
    subprocess.run(["make", "-s", "-C", REPO / "boards" / "esp8266", "second_boot", f"BUILD={tmp_path}", f"GEN={GEN}"], check=True)
    assert (tmp_path / "second_boot.bin").read_bytes() == second_boot


def test_checkout_without_its_submodules_is_refused_by_the_top_makefile(rom):
    micropython = source("micropython")
    if micropython is None or list((micropython / "lib" / "axtls").glob("*")):
        pytest.skip("no MicroPython sources without axTLS")
    done = subprocess.run(["make", "otaapp@esp8266", f"MICROPY_DIR={micropython}"], cwd=REPO, capture_output=True, text=True, check=False)
    said = [line for line in done.stdout.splitlines() if "key hash" not in line]  # the first build makes keys
    assert done.returncode != 0 and len(said) == 1 and said[0].startswith("esp8266: "), done.stdout


def test_linker_puts_our_code_into_flash_where_the_image_will_lie(tmp_path):
    """Upstream's own script, told where: what it does not name would land in instruction RAM."""
    micropython = source("micropython")
    if micropython is None:
        pytest.skip("no MicroPython sources (MICROPY_DIR)")
    (tmp_path / "module").mkdir()
    (tmp_path / "core").mkdir()
    script = subprocess.run([CC, "-E", "-P", "-x", "c", "-I", GEN, SILICON / "slot.ld.h"], capture_output=True, text=True, check=True).stdout
    (tmp_path / "slot.ld").write_text(script)
    flags = ["-Os", "-mlongcalls", "-mtext-section-literals", "-ffunction-sections", "-fdata-sections", "-mforce-l32", "-I",
             REPO / "boards/emulator/include", "-I", GEN, "-I", REPO]
    objects = [f"{tmp_path}/module/../core/{name}.o" for name in ("image", "rsa", "sha256", "trailer")]
    for out in objects:
        subprocess.run([CC, *flags, "-c", REPO / "ota" / "core" / (out.rpartition("/")[2][:-1] + "c"), "-o", out], check=True)
    subprocess.run([CC, *flags, "-c", SILICON / "bank.c", "-o", tmp_path / "bank.o"], check=True)
    (tmp_path / "silicon").mkdir()
    for name in ("watchdog", "modesp8266"):  # they include upstream's headers: their places only
        (tmp_path / f"{name}.c").write_text(f"int the_{name}(void) {{ return 1; }}")
        objects.append(f"{tmp_path}/silicon/{name}.o")
        subprocess.run([CC, *flags, "-c", tmp_path / f"{name}.c", "-o", objects[-1]], check=True)
    out = tmp_path / "chip.elf"
    subprocess.run([CC.replace("gcc", "ld"), "-nostdlib", "-T", tmp_path / "slot.ld", "-e", "mpota_bank", "--unresolved-symbols=ignore-all",
                    "--no-warn-rwx-segments", "-o", out, tmp_path / "bank.o", *objects], cwd=micropython / "ports" / "esp8266", check=True)
    entry, segments = esp8266.elf_segments(out.read_bytes())
    esp8266.check_window(segments, IROM - 16)
    assert len(segments[0].data) > 5000
    assert 0x40100000 <= entry < 0x40108000 and sum(len(s.data) for s in segments[1:]) < 400
    symbols = subprocess.run([CC.replace("gcc", "nm"), out], capture_output=True, text=True, check=True).stdout
    assert len(re.findall("^402[0-9a-f]{5} T the_", symbols, re.M)) == 2
    assert re.search("^401[0-9a-f]{5} T Cache_Read_Enable$", symbols, re.M)  # not the ROM's, which upstream's script provides
    assert all(0x40100000 <= s.address < 0x40108000 or 0x3FFE8000 <= s.address < 0x3FFF8000 for s in segments[1:])
