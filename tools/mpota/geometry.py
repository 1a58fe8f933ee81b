"""A board's flash map (boards/NAME/board.toml), its variants, and the C header made from it.

`python -m mpota.geometry BOARD.TOML [--variant 2m] OUT.h`
"""

import argparse
import sys
import tomllib
from pathlib import Path
from typing import Any


class GeometryError(ValueError):
    """The board file contradicts itself."""


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in over.items():
        out[key] = _merge(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


def load(path: Path, variant: str | None = None) -> dict[str, Any]:
    """The board's tables, with the variant's keys in place of the base's."""
    board = tomllib.loads(path.read_text())
    variants = board.pop("variant", {})
    if variant:
        if variant not in variants:
            raise GeometryError(f"no variant {variant!r}; there is {', '.join(sorted(variants)) or 'none'}")
        board = _merge(board, variants[variant])
    check(board)
    return board


def check(board: dict[str, Any]) -> None:
    """Areas are sector-aligned, inside the flash and apart; a slot stays in its bank, at the same offset as the other."""
    flash = board["flash"]
    areas = {"second_boot": board["second_boot"], "slot a": board["slots"]["a"], "slot b": board["slots"]["b"], "filesystem": board["filesystem"]}
    end, before = 0, "start of flash"
    for name, area in sorted(areas.items(), key=lambda item: item[1]["offset"]):
        if area["offset"] % flash["sector"] or area["size"] % flash["sector"]:
            raise GeometryError(f"{name} is not made of whole sectors")
        if area["offset"] < end:
            raise GeometryError(f"{name} overlaps {before}")
        end, before = area["offset"] + area["size"], name
    if end > flash["size"]:
        raise GeometryError(f"{before} ends beyond the flash")
    a, b, bank = board["slots"]["a"], board["slots"]["b"], board["chip"]["window_size"]
    if a["offset"] % bank != b["offset"] % bank or a["size"] != b["size"] or a["offset"] % bank + a["size"] > bank:
        raise GeometryError("slots do not lie alike in their banks")


def payload_address(board: dict[str, Any]) -> int:
    """Where the payload's first byte appears in the window, from either slot."""
    return board["chip"]["window"] + board["slots"]["a"]["offset"] % board["chip"]["window_size"] + board["image"]["header_size"]


def payload_limit(board: dict[str, Any]) -> int:
    """Bytes a payload may have: the slot less header, TLVs (1 KiB kept free for them) and trailer."""
    return board["slots"]["a"]["size"] - board["image"]["header_size"] - 1024 - board["flash"]["sector"]


def header(board: dict[str, Any]) -> str:
    """The board as C macros."""
    values = {
        "BOARD_FLASH_SIZE": board["flash"]["size"],
        "BOARD_FLASH_SECTOR": board["flash"]["sector"],
        "BOARD_SECOND_BOOT_SIZE": board["second_boot"]["size"],
        "BOARD_SLOT_A": board["slots"]["a"]["offset"],
        "BOARD_SLOT_B": board["slots"]["b"]["offset"],
        "BOARD_SLOT_SIZE": board["slots"]["a"]["size"],
        "BOARD_HEADER_SIZE": board["image"]["header_size"],
        "BOARD_FILESYSTEM": board["filesystem"]["offset"],
        "BOARD_FILESYSTEM_SIZE": board["filesystem"]["size"],
        "BOARD_WINDOW": board["chip"]["window"],
        "BOARD_WINDOW_SIZE": board["chip"]["window_size"],
        "BOARD_RTC_HANDOVER": board["chip"]["rtc_handover"],
        "BOARD_IROM": payload_address(board) + 16,
        "BOARD_IROM_SIZE": payload_limit(board) - 32,
    }
    lines = ["/* Made from board.toml. */", "#ifndef BOARD_H", "#define BOARD_H"]
    lines += [f"#define {name} {value:#x}" for name, value in values.items()]
    return "\n".join([*lines, "#endif", ""])


def main(args: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="mpota.geometry", description="Makes a C header of a board file.")
    parser.add_argument("board", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--variant")
    options = parser.parse_args(args)
    try:
        text = header(load(options.board, options.variant))
    except (GeometryError, KeyError, tomllib.TOMLDecodeError) as e:
        print(f"mpota: {options.board}: {e}", file=sys.stderr)
        return 1
    options.out.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
