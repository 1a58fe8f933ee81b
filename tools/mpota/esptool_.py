"""Writing a board's flash over its serial port: esptool, told where things go."""
# SPDX-License-Identifier: MIT

import hashlib
import re
import subprocess
import sys
import tempfile

import serial

from mpota import image, payload, storage
from mpota.errors import ToolError


def plan(board, image_path, second_boot_path=None):
    """[(offset, path)] of what to write; the image is checked first. Path None is a sector to be blank: what the trailers
    said of the images before would else be believed, and slot B started where an update lies in it."""
    if not board.second_boot:
        raise ToolError(board.name, "this board is not flashed over a serial port")
    data = storage.read(image_path, board.image_limit)
    parsed = image.parse(data, image_path)
    if parsed.flags & image.NON_BOOTABLE:
        raise ToolError(image_path, "a patch, which cannot be flashed")
    payload.check(data[parsed.header_size :][: parsed.payload_size], board, image_path)
    parts = [(board.slots[0].offset, image_path)]
    parts += [(slot.end - board.sector, None) for slot in board.slots]
    if second_boot_path:
        second_boot = storage.read(second_boot_path, board.second_boot.size)
        payload.check_second_boot(second_boot, board, second_boot_path)
        if parsed.tlvs["UUID_CID"] not in second_boot:
            raise ToolError(image_path, f"for another product or board than {second_boot_path}")
        if not _holds_key(second_boot, parsed.tlvs["KEYHASH"]):
            raise ToolError(image_path, f"signed with a key that {second_boot_path} does not hold")
        parts.insert(0, (board.second_boot.offset, second_boot_path))
    return parts


def _holds_key(second_boot, key_hash):
    """True if a public key of this SHA-256, a DER sequence (PKCS#1), stands in the program."""
    for start in (match.start() for match in re.finditer(rb"\x30\x82", second_boot)):
        end = start + 4 + int.from_bytes(second_boot[start + 2 : start + 4], "big")
        if hashlib.sha256(second_boot[start:end]).digest() == key_hash:
            return True
    return False


def write(board, port, parts):
    """Runs esptool; its output goes to this terminal. The ROM's own loader is enough and the only one emulated."""
    if not port:
        raise ToolError("--port", "no serial device is named")
    try:
        serial.serial_for_url(port, do_not_open=True)
    except (ValueError, serial.SerialException) as error:
        raise ToolError(port, f"not a serial device or pyserial URL: {error}") from error
    command = [sys.executable, "-m", "esptool", "--chip", board.chip, "--port", port, "--no-stub", "write-flash"]
    with tempfile.NamedTemporaryFile(suffix=".blank") as blank:
        blank.write(b"\xff" * board.sector)
        blank.flush()
        for offset, path in parts:
            command += [hex(offset), str(path or blank.name)]
        if subprocess.run(command, check=False).returncode:
            raise ToolError(port, "esptool failed")
