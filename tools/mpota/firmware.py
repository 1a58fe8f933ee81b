"""What a firmware build needs from board.toml, keys and product: a C header, C keys, and MicroPython constants."""
# SPDX-License-Identifier: MIT

import re
import uuid
from dataclasses import dataclass
from pathlib import Path

from mpota import storage
from mpota.errors import ToolError

_SERVER = re.compile(r"([^/\s]+):([0-9]{1,5})")


@dataclass(frozen=True)
class Trust:
    """Whom a firmware believes. Keys are PKCS#1 RSAPublicKey DER, the CA is a DER certificate."""

    product: str
    image_keys: tuple
    digest_key: bytes | None
    ca: bytes | None


def product_ids(vendor, product, board):
    """(vendor id, class id), 16 bytes each (SPEC.md section 1)."""
    vendor_id = uuid.uuid5(uuid.NAMESPACE_DNS, vendor)
    return vendor_id.bytes, uuid.uuid5(vendor_id, f"{product}/{board}").bytes


def generate(board, trust, options, out):
    """Writes board.h, boot_config.c, boot.mk and ota_config.py into the folder `out`; files that would not change keep their
    date. options: a config.Config."""
    ids = product_ids(board.vendor, trust.product, board.name)
    out = Path(out)
    storage.make_folder(out)
    _write(out / "board.h", _board_header(board))
    _write(out / "boot_config.c", _boot_config(board, trust.image_keys, options.tries, ids))
    _write(out / "boot.mk", f"# Which console the second boot has.\nCONSOLE := {'console.c' if options.console else 'noconsole.c'}\n")
    _write(out / "ota_config.py", _constants(board, trust, ids, options))


def _write(path, text):
    data = text.encode()
    if not path.exists() or storage.read(path) != data:
        storage.write(path, data)


def _board_header(board):
    values = {
        "BOARD_FLASH_SIZE": board.flash_size,
        "BOARD_FLASH_SECTOR": board.sector,
        "BOARD_SLOT_A": board.slots[0].offset,
        "BOARD_SLOT_B": board.slots[1].offset,
        "BOARD_SLOT_SIZE": board.slots[0].size,
        "BOARD_HEADER_SIZE": board.header_size,
        "BOARD_WATCHDOG_MS": board.watchdog_ms,
    }
    if board.second_boot:
        values["BOARD_SECOND_BOOT_SIZE"] = board.second_boot.size
    if board.filesystem:
        values |= {"BOARD_FILESYSTEM": board.filesystem.offset, "BOARD_FILESYSTEM_SIZE": board.filesystem.size}
    if board.window:
        values |= {
            "BOARD_WINDOW": board.window.address,
            "BOARD_WINDOW_SIZE": board.window.size,
            "BOARD_IROM": board.payload_address + 16,  # behind the header of program image and segment (SPEC.md, section 6)
            "BOARD_IROM_SIZE": board.payload_limit - 32,
        }
    if board.handover:
        values["BOARD_RTC_HANDOVER"] = board.handover
    # A linker script reads it too: no other comments, no casts.
    lines = [f"/* Made from {board.name}'s board.toml. */", "#ifndef BOARD_H", "#define BOARD_H"]
    return "\n".join([*lines, *(f"#define {name} {value:#x}" for name, value in values.items()), "#endif", ""])


def _array(name, data):
    rows = [", ".join(f"0x{b:02x}" for b in data[i : i + 16]) for i in range(0, len(data), 16)]
    return f"static const uint8_t {name}[] = {{\n    " + ",\n    ".join(rows) + ",\n};\n"


def _boot_config(board, image_keys, tries, ids):
    """C source: what the second boot is told (ota/core/boot.h)."""
    keys = ", ".join(f"{{key{i}, sizeof(key{i})}}" for i in range(len(image_keys)))
    slots = ", ".join(f"{{{slot.offset:#x}, {slot.size:#x}}}" for slot in board.slots)
    return "".join(
        [
            '#include "second_boot.h"\n',
            *(_array(f"key{i}", der) for i, der in enumerate(image_keys)),
            f"static const struct ota_key keys[] = {{{keys}}};\n",
            _array("vendor_id", ids[0]),
            _array("class_id", ids[1]),
            "const struct ota_boot_config second_boot_config = {\n"
            f"    .slots = {{{slots}}},\n"
            f"    .trust = {{.keys = keys, .key_count = {len(image_keys)}, .vendor_id = vendor_id, .class_id = class_id}},\n"
            f"    .tries = {tries},\n}};\n",
        ]
    )


def _address(text):
    """(host, port) of HOST:PORT, or None."""
    if not text:
        return None
    match = _SERVER.fullmatch(text)
    if not match or not 0 < int(match[2]) < 65536:
        raise ToolError(text, "not HOST:PORT")
    return match[1], int(match[2])


def _constants(board, trust, ids, options):
    return f'''"""Made from {board.name}/board.toml, the keys and the product this firmware trusts."""

BOARD = {board.name!r}
FLASH_SIZE = {board.flash_size}
SECTOR = {board.sector}
BLOCK = {board.block}
SLOTS = {tuple((slot.offset, slot.size) for slot in board.slots)!r}
PARAMETERS = {board.parameters.offset}
VENDOR_ID = {ids[0]!r}
CLASS_ID = {ids[1]!r}
IMAGE_KEYS = {trust.image_keys!r}
DIGEST_KEY = {trust.digest_key!r}
CA = {trust.ca!r}
PROTOCOL = {options.protocol}
SERVER = {_address(options.server)!r}
SIGN_TYPE = {options.sign}
'''
