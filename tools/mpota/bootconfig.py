"""The second boot's configuration as C: public keys, product, slots.

`python -m mpota.bootconfig BOARD.TOML --vendor DOMAIN --product KEY [--variant 2m] [--tries N] --key KEY.der... OUT.c`
"""

import argparse
import sys
import uuid
from pathlib import Path
from typing import Any

from mpota import geometry


def ids(vendor: str, product: str, board: str) -> tuple[bytes, bytes]:
    """Vendor and class id (SPEC.md, section 1)."""
    vendor_id = uuid.uuid5(uuid.NAMESPACE_DNS, vendor)
    return vendor_id.bytes, uuid.uuid5(vendor_id, f"{product}/{board}").bytes


def _array(name: str, data: bytes) -> str:
    rows = [", ".join(f"0x{b:02x}" for b in data[i : i + 16]) for i in range(0, len(data), 16)]
    return f"static const uint8_t {name}[] = {{\n    " + ",\n    ".join(rows) + ",\n};\n"


def source(board: dict[str, Any], vendor: str, product: str, keys: list[bytes], tries: int = 0) -> str:
    """The C file; `keys` are PKCS#1 RSAPublicKey DER."""
    vendor_id, class_id = ids(vendor, product, board["name"])
    parts = ['#include "second_boot.h"\n']
    parts += [_array(f"key{i}", key) for i, key in enumerate(keys)]
    parts.append("static const struct ota_key keys[] = {" + ", ".join(f"{{key{i}, sizeof(key{i})}}" for i in range(len(keys))) + "};\n")
    parts += [_array("vendor_id", vendor_id), _array("class_id", class_id)]
    slots = ", ".join(f"{{{board['slots'][s]['offset']:#x}, {board['slots'][s]['size']:#x}}}" for s in "ab")
    parts.append(
        "const struct ota_boot_config second_boot_config = {\n"
        f"    .slots = {{{slots}}},\n"
        f"    .trust = {{.keys = keys, .key_count = {len(keys)}, .vendor_id = vendor_id, .class_id = class_id}},\n"
        f"    .tries = {tries},\n}};\n"
    )
    return "".join(parts)


def main(args: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="mpota.bootconfig", description="Makes the second boot's configuration.")
    parser.add_argument("board", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--variant")
    parser.add_argument("--vendor", required=True)
    parser.add_argument("--product", required=True)
    parser.add_argument("--tries", type=int, default=0)
    parser.add_argument("--key", type=Path, action="append", required=True)
    options = parser.parse_args(args)
    try:
        board = geometry.load(options.board, options.variant)
        keys = [path.read_bytes() for path in options.key]
    except (OSError, geometry.GeometryError) as e:
        print(f"mpota: {e}", file=sys.stderr)
        return 1
    options.out.write_text(source(board, options.vendor, options.product, keys, options.tries))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
