"""What a firmware build needs from board.toml, keys and product: a C header, C keys, and MicroPython constants."""
# SPDX-License-Identifier: MIT

import uuid
from dataclasses import dataclass
from pathlib import Path


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


def generate(board, trust, server, out):
    """Writes board.h, keys.h and ota_config.py into the folder `out`; files that would not change keep their date.

    server: "host:port", or None for the product's own host at the cloud.
    """
    ids = product_ids(board.vendor, trust.product, board.name)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    _write(out / "board.h", _board_header(board))
    _write(out / "keys.h", _keys_header(trust.image_keys, *ids))
    _write(out / "ota_config.py", _constants(board, trust, ids, server))


def _write(path, text):
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def _board_header(board):
    slots = ", ".join(f"{{ {offset:#x}u, {size:#x}u }}" for offset, size in board.slots)
    return f"""// Made from {board.name}/board.toml.
#ifndef BOARD_H
#define BOARD_H
#define BOARD_NAME "{board.name}"
#define BOARD_FLASH_SIZE {board.flash_size:#x}u
#define BOARD_SECTOR {board.sector:#x}u
#define BOARD_SLOTS {{ {slots} }}
#define BOARD_TRIES {board.tries}
#define BOARD_WATCHDOG_MS {board.watchdog_ms}
#endif
"""


def _keys_header(image_keys, vendor_id, class_id):
    def array(name, data):
        return f"static const uint8_t {name}[] = {{ {', '.join(map(str, data))} }};\n"

    text = "// Made from the keys and the product this firmware trusts.\n"
    for i, der in enumerate(image_keys):
        text += array(f"image_key_{i}", der)
    entries = ", ".join(f"{{ image_key_{i}, sizeof(image_key_{i}) }}" for i in range(len(image_keys)))
    text += f"#define IMAGE_KEY_COUNT {len(image_keys)}\nstatic const struct ota_key image_keys[] = {{ {entries} }};\n"
    return text + array("vendor_id", vendor_id) + array("class_id", class_id)


def _constants(board, trust, ids, server):
    if server:
        host, _, port = server.rpartition(":")
        address = repr((host, int(port)))
    else:
        address = 'pk + ".iot-as-mqtt.cn-shanghai.aliyuncs.com", 1883'
    return f'''"""Made from {board.name}/board.toml, the keys and the product this firmware trusts."""

BOARD = {board.name!r}
FLASH_SIZE = {board.flash_size}
SECTOR = {board.sector}
SLOTS = {tuple(board.slots)!r}
VENDOR_ID = {ids[0]!r}
CLASS_ID = {ids[1]!r}
IMAGE_KEYS = {trust.image_keys!r}
DIGEST_KEY = {trust.digest_key!r}
CA = {trust.ca!r}


def server(pk):
    """(host, port) of the broker."""
    return {address}
'''
