"""What a board's chip can run, looked at before it is signed or flashed."""
# SPDX-License-Identifier: MIT

from mpota import esp8266
from mpota.errors import ToolError


def _elf(data, _board):
    if data[:4] != b"\x7fELF":
        raise esp8266.ImageError("not an ELF file")


# chip: refuses with an ImageError
_PAYLOADS = {"esp8266": lambda data, board: esp8266.check_payload(data, board.payload_address), "linux": _elf}
_SECOND_BOOTS = {"esp8266": lambda data, board: esp8266.check_second_boot(data, board.flash_size)}


def check(data, board, path):
    """Refuses what the board's second boot would not start."""
    _check(_PAYLOADS, data, board, path, "program")


def check_second_boot(data, board, path):
    """Refuses what the chip's ROM would not start."""
    _check(_SECOND_BOOTS, data, board, path, "second boot")


def _check(checks, data, board, path, what):
    try:
        checks.get(board.chip, lambda *_: None)(data, board)
    except esp8266.ImageError as error:
        raise ToolError(path, f"no {what} for {board.name}: {error}") from error
