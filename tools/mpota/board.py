"""A board's facts, from boards/NAME/board.toml. A variant of a board is named NAME-VARIANT."""
# SPDX-License-Identifier: MIT

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from mpota import storage
from mpota.errors import ToolError

NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
TLV_ROOM = 1024  # kept free behind a payload for TLVs
STEP = 2048  # what a device writes at a time, and the smallest sector (ota/service.py)
SECTOR_MAX = 0x80000  # its places are counted in 16 bits (ota/core/trailer.h)
DEFAULTS = {"chip": {}, "image": {"header_size": 0x200}, "boot": {"watchdog_ms": 5000}}


@dataclass(frozen=True)
class Area:
    """A part of flash, bytes."""

    offset: int
    size: int

    @property
    def end(self):
        """The first byte behind it."""
        return self.offset + self.size


@dataclass(frozen=True)
class Window:
    """Where flash is executed in place: `size` bytes of it at a time, seen at `address`."""

    address: int
    size: int


@dataclass(frozen=True)
class Board:
    """What the host needs to know of a board. A slot's last sector is its trailer."""

    name: str
    chip: str
    flash_size: int
    sector: int
    block: int  # the largest erase
    slots: tuple  # two Areas
    header_size: int
    vendor: str
    watchdog_ms: int
    parameters: Area  # two sectors
    second_boot: Area | None
    filesystem: Area | None
    window: Window | None
    handover: int | None  # address in memory of what the second boot tells the image

    @property
    def image_limit(self):
        """The largest image both slots hold."""
        return min(slot.size for slot in self.slots) - self.sector

    @property
    def payload_limit(self):
        """The largest payload, header and TLVs allowed for."""
        return self.image_limit - self.header_size - TLV_ROOM

    @property
    def payload_address(self):
        """Where the payload's first byte appears in the window, from either slot."""
        return self.window.address + self.slots[0].offset % self.window.size + self.header_size


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
    folder = Path(folder or default_folder())
    base, _, variant = name.partition("-")
    if variant and (folder / name).is_dir():
        base, variant = name, ""
    path = folder / base / "board.toml"
    try:
        facts = tomllib.loads(storage.read(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ToolError(path, f"not TOML: {error}") from error
    variants = facts.pop("variant", {})
    if variant and variant not in variants:
        raise ToolError(path, f"no variant {variant}; there is {', '.join(sorted(variants)) or 'none'}")
    board = _board(path, name, _merge(facts, variants[variant]) if variant else facts)
    _check(path, board)
    return board


def _merge(base, over):
    merged = dict(base)
    for key, value in over.items():
        merged[key] = _merge(merged[key], value) if isinstance(value, dict) and isinstance(merged.get(key), dict) else value
    return merged


def _board(path, name, facts):
    facts = _merge(DEFAULTS, facts)
    flash, slots, chip, image, boot = (_table(path, facts, key) for key in ("flash", "slots", "chip", "image", "boot"))
    if not image.get("vendor") or not isinstance(image["vendor"], str):
        raise ToolError(path, "image.vendor is not a domain's name")
    return Board(
        name=name,
        chip=chip.get("name", ""),
        flash_size=_number(path, flash, "flash.size"),
        sector=_number(path, flash, "flash.sector"),
        block=_number(path, flash, "flash.block") if "block" in flash else _number(path, flash, "flash.sector"),
        slots=tuple(_area(path, slots, slot, "slots.") for slot in "ab"),
        header_size=_number(path, image, "image.header_size", least=32),
        vendor=image["vendor"],
        watchdog_ms=_number(path, boot, "boot.watchdog_ms"),
        parameters=_area(path, facts, "parameters"),
        second_boot=_area(path, facts, "second_boot") if "second_boot" in facts else None,
        filesystem=_area(path, facts, "filesystem") if "filesystem" in facts else None,
        window=Window(_number(path, chip, "chip.window"), _number(path, chip, "chip.window_size")) if "window" in chip else None,
        handover=_number(path, chip, "chip.rtc_handover") if "rtc_handover" in chip else None,
    )


def _check(path, board):
    """Areas are whole sectors, inside the flash and apart; with a window, both slots lie alike in their banks."""
    if board.sector % STEP or board.sector > SECTOR_MAX:
        raise ToolError(path, f"flash.sector is not a multiple of {STEP}, {SECTOR_MAX} at most")
    if board.block % board.sector:
        raise ToolError(path, "flash.block is not made of whole sectors")
    named = [("slots.a", board.slots[0]), ("slots.b", board.slots[1]), ("parameters", board.parameters)]
    named += [("second_boot", board.second_boot), ("filesystem", board.filesystem)]
    before = ("start", Area(0, 0))
    for name, area in sorted((entry for entry in named if entry[1]), key=lambda entry: entry[1].offset):
        if area.offset % board.sector or area.size % board.sector:
            raise ToolError(path, f"{name} is not made of whole sectors")
        if area.offset < before[1].end:
            raise ToolError(path, f"{name} overlaps {before[0]}")
        before = name, area
    if before[1].end > board.flash_size:
        raise ToolError(path, f"{before[0]} ends beyond the flash")
    if board.parameters.size != 2 * board.sector:
        raise ToolError(path, "parameters is not two sectors")
    if board.image_limit <= 0:
        raise ToolError(path, "a slot is not larger than its trailer")
    if board.window:
        starts = {slot.offset % board.window.size for slot in board.slots}
        if len(starts) > 1 or any(start + slot.size > board.window.size for start, slot in zip(starts, board.slots)):
            raise ToolError(path, "slots do not lie alike in their banks")


def _area(path, facts, name, prefix=""):
    area = _table(path, facts, name, prefix)
    return Area(_number(path, area, f"{prefix}{name}.offset", least=0), _number(path, area, f"{prefix}{name}.size"))


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
