"""A board's facts, from boards/NAME/board.toml."""
# SPDX-License-Identifier: MIT

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from mpota import storage
from mpota.errors import ToolError

NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
HEADER_SIZE = 0x200


@dataclass(frozen=True)
class Board:
    """What the host needs to know of a board. The smaller slot's last sector is its trailer."""

    name: str
    sector: int
    slot_size: int
    header_size: int
    vendor: str | None

    @property
    def image_limit(self):
        """The largest image a slot holds."""
        return self.slot_size - self.sector


def default_folder():
    """boards/ in this folder or the nearest one above it."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "boards").is_dir():
            return folder / "boards"
    return here / "boards"


def load(name, folder=None):
    """The board called `name`."""
    if not NAME.fullmatch(name):
        raise ToolError(name, "not a board's name")
    path = Path(folder or default_folder()) / name / "board.toml"
    try:
        facts = tomllib.loads(storage.read(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ToolError(path, f"not TOML: {error}") from error
    return _board(path, name, facts)


def _board(path, name, facts):
    slots = _table(path, facts, "slots")
    image = facts.get("image", {})
    board = Board(
        name=name,
        sector=_number(path, _table(path, facts, "flash"), "flash.sector"),
        slot_size=min(_number(path, _table(path, slots, slot, "slots."), f"slots.{slot}.size") for slot in "ab"),
        header_size=image.get("header_size", HEADER_SIZE),
        vendor=image.get("vendor", facts.get("vendor")),
    )
    if board.slot_size <= board.sector:
        raise ToolError(path, "a slot is not larger than its trailer")
    return board


def _table(path, facts, key, prefix=""):
    value = facts.get(key)
    if not isinstance(value, dict):
        raise ToolError(path, f"table {prefix}{key} is missing")
    return value


def _number(path, facts, name):
    value = facts.get(name.rpartition(".")[2])
    if type(value) is not int or value <= 0:
        raise ToolError(path, f"{name} is not a positive number")
    return value
