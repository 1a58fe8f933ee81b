"""Writing a board's flash over its serial port: esptool, told where things go."""
# SPDX-License-Identifier: MIT

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import serial

from mpota import image, payload, storage
from mpota.errors import ToolError


def plan(board, image_path, second_boot_path=None):
    """[(offset, path or bytes)] of what to write; the image is checked first. The bytes are blank sectors: what the trailers said of
    the images before would else be believed, and slot B started where an update lies in it."""
    if board.chip != "esp8266" or not board.second_boot:
        raise ToolError(board.name, "this board is not flashed with esptool")
    data = storage.read(image_path, board.image_limit)
    parsed = image.parse(data, image_path)
    if parsed.flags & image.NON_BOOTABLE:
        raise ToolError(image_path, "a patch, which cannot be flashed")
    payload.check(data[parsed.header_size :][: parsed.payload_size], board, image_path)
    parts = [(board.slots[0].offset, image_path)]
    parts.append((board.slots[0].end - board.sector, b"\xff" * board.sector))
    # At the end of a block the chip's ROM erases two sectors for one. Behind slot B there are files.
    parts.append((board.slots[1].end - 2 * board.sector, b"\xff" * 2 * board.sector))
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
    command = [sys.executable, "-m", "esptool", "--chip", board.chip, "--port", port, "--no-stub"]
    _check_size(board, port, command)
    with tempfile.TemporaryDirectory() as folder:
        command.append("write-flash")
        for offset, content in parts:
            if isinstance(content, bytes):
                blank = Path(folder) / f"blank-{offset:#x}"
                blank.write_bytes(content)
                content = blank
            command += [hex(offset), str(content)]
        if subprocess.run(command, check=False).returncode:
            raise ToolError(port, "esptool failed")


def _check_size(board, port, command):
    """What lies beyond the end of a smaller chip's flash would be written over its beginning."""
    done = subprocess.run([*command, "--after", "no-reset", "flash-id"], check=False, capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        raise ToolError(port, "esptool failed")
    found = re.search(r"Detected flash size: (\d+)([KM])B", done.stdout)  # some chips do not tell
    size = int(found[1]) << {"K": 10, "M": 20}[found[2]] if found else board.flash_size
    if size < board.flash_size:
        raise ToolError(port, f"its flash has {size >> 10} KiB, {board.name} needs {board.flash_size >> 10}")
