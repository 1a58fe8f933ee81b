"""board.toml: what is missing is named."""
# SPDX-License-Identifier: MIT

import pytest

from mpota import board
from mpota.errors import ToolError

from .helpers import BOARD, LIMIT


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
