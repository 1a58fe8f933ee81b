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
TRIES = 3
WATCHDOG_MS = 5000


@dataclass(frozen=True)
class Board:
    """What the host needs to know of a board. A slot's last sector is its trailer."""

    name: str
    flash_size: int
    sector: int
    slots: tuple  # (offset, size) of A and B, bytes
    header_size: int
    vendor: str | None
    tries: int
    watchdog_ms: int

    @property
    def image_limit(self):
        """The largest image both slots hold."""
        return min(size for _, size in self.slots) - self.sector


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
    flash = _table(path, facts, "flash")
    slots = _table(path, facts, "slots")
    image, boot = facts.get("image", {}), facts.get("boot", {})
    board = Board(
        name=name,
        flash_size=_number(path, flash, "flash.size"),
        sector=_number(path, flash, "flash.sector"),
        slots=tuple(_slot(path, slots, name) for name in "ab"),
        header_size=image.get("header_size", HEADER_SIZE),
        vendor=image.get("vendor"),
        tries=boot.get("tries", TRIES),
        watchdog_ms=boot.get("watchdog_ms", WATCHDOG_MS),
    )
    if board.image_limit <= 0:
        raise ToolError(path, "a slot is not larger than its trailer")
    return board


def _slot(path, slots, name):
    slot = _table(path, slots, name, "slots.")
    return _number(path, slot, f"slots.{name}.offset", least=0), _number(path, slot, f"slots.{name}.size")


def _table(path, facts, key, prefix=""):
    value = facts.get(key)
    if not isinstance(value, dict):
        raise ToolError(path, f"table {prefix}{key} is missing")
    return value


def _number(path, facts, name, least=1):
    value = facts.get(name.rpartition(".")[2])
    if type(value) is not int or value < least:
        raise ToolError(path, f"{name} is not a number of at least {least}")
    return value
