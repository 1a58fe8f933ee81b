"""board.toml: what is missing is named."""
# SPDX-License-Identifier: MIT

import re

import pytest

from mpota import board, esptool_
from mpota.errors import ToolError

from .helpers import BOARD, LIMIT, ROOT


def load(folder, text):
    (folder / "tiny").mkdir()
    (folder / "tiny" / "board.toml").write_text(text)
    return board.load("tiny", folder)


def test_smaller_slot_without_its_trailer_is_the_limit(tmp_path):
    found = load(tmp_path, BOARD)
    assert found.image_limit == LIMIT
    assert (found.sector, found.header_size, found.vendor) == (0x1000, 0x200, "example.org")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("[flash]", "[other]", "table flash is missing"),
        ("sector = 0x1000", "", "flash.sector is not a number of at least 1"),
        ("sector = 0x1000", "sector = true", "flash.sector is not a number of at least 1"),
        ("sector = 0x1000", "sector = 0x400", "flash.sector is not a multiple of 2048, 524288 at most"),
        ("sector = 0x1000", "sector = 0x100000", "flash.sector is not a multiple of 2048, 524288 at most"),
        ("sector = 0x1000", "sector = 0x1000\nblock = 0x1800", "flash.block is not made of whole sectors"),
        ("sector = 0x1000", "sector = 0x1000\nblock = 0.5", "flash.block is not a number of at least 1"),
        ("[image]", "[boot]\nwatchdog_ms = 0\n[image]", "boot.watchdog_ms is not a number of at least 1"),
        ("[image]", "[boot]\nwatchdog_ms = -5\n[image]", "boot.watchdog_ms is not a number of at least 1"),
        ("[image]", "[boot]\nwatchdog_ms = 1.5\n[image]", "boot.watchdog_ms is not a number of at least 1"),
        ("[image]", "[boot]\nwatchdog_ms = 'long'\n[image]", "boot.watchdog_ms is not a number of at least 1"),
        ("[chip]", "boot = 5\n[chip]", "table boot is missing"),
        ("header_size = 0x200", "header_size = 'large'", "image.header_size is not a number of at least 32"),
        ('vendor = "example.org"', "", "image.vendor is not a domain's name"),
        ('vendor = "example.org"', "vendor = 5", "image.vendor is not a domain's name"),
        ('name = "none"', "window = 0x40200000", "chip.window_size is not a number of at least 1"),
        ('name = "none"', "window = 'high'", "chip.window is not a number of at least 1"),
        ('name = "none"', "rtc_handover = 'low'", "chip.rtc_handover is not a number of at least 1"),
        ("b = {", "c = {", "table slots.b is missing"),
        ("[parameters]", "[other]", "table parameters is missing"),
        ("size = 0x2000\n", "size = 0x1000\n", "parameters is not two sectors"),
        ("offset = 0x30000", "offset = 0x2F000", "parameters overlaps slots.b"),
        ("size = 0x10000 }", "size = 0x1000 }", "not larger than its trailer"),
        ("[chip]", "[chip", "not TOML"),
    ],
)
def test_fault_is_named(tmp_path, old, new, reason):
    with pytest.raises(ToolError, match=reason):
        load(tmp_path, BOARD.replace(old, new))


def test_flashing_a_chip_that_is_no_esp8266_is_refused(tmp_path):
    found = load(tmp_path, BOARD.replace("[parameters]", "[second_boot]\noffset = 0x34000\nsize = 0x4000\n[parameters]"))
    assert found.second_boot
    with pytest.raises(ToolError, match="tiny: this board is not flashed with esptool"):
        esptool_.plan(found, tmp_path / "image")


def test_sector_is_made_of_what_the_service_writes():
    assert f"\n_BUF = const({board.STEP})" in (ROOT / "ota" / "service.py").read_text()


def test_board_is_a_name_not_a_path(tmp_path):
    for name in ("../tiny", "", "a/b", ".."):
        with pytest.raises(ToolError, match="not a board's name"):
            board.load(name, tmp_path)


def test_boards_are_found_above_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "boards").mkdir()
    load(tmp_path / "boards", BOARD)
    (tmp_path / "some" / "where").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "some" / "where")
    assert board.load("tiny").name == "tiny"


def test_handover_in_the_esp8266s_python_is_the_boards():
    written = re.search(r"^_HANDOVER = const\((0x[0-9A-F]+)\)$", (ROOT / "ota/hal/esp8266.py").read_text(), re.M)[1]
    assert int(written, 16) == board.load("esp8266").handover
