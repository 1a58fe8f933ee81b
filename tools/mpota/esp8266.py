"""ESP8266 program images (0xE9): what the chip's ROM loads from flash offset 0, and the payload of SPEC.md section 6.

`python -m mpota.esp8266 ELF OUT` makes the one from the other.
"""

import argparse
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from mpota import board as boards
from mpota.errors import ToolError

MAGIC = 0xE9
CHECKSUM_SEED = 0xEF
MAX_SEGMENTS = 16
WINDOW = 0x40200000
WINDOW_BYTES = 0x100000
IRAM, DRAM = range(0x40100000, 0x40108000), range(0x3FFE8000, 0x3FFF8000)  # what an image may fill
_MODES = {"qio": 0, "qout": 1, "dio": 2, "dout": 3}
_SIZES = {0x80000: 0, 0x40000: 1, 0x100000: 2, 0x200000: 3, 0x400000: 4, 0x800000: 8, 0x1000000: 9}
_FREQUENCIES = {40: 0, 26: 1, 20: 2, 80: 0xF}


class ImageError(ValueError):
    """The input is not what the name says."""


@dataclass
class Segment:
    address: int
    data: bytes

    def in_window(self) -> bool:
        return WINDOW <= self.address < WINDOW + WINDOW_BYTES


def elf_segments(elf: bytes) -> tuple[int, list[Segment]]:
    """Entry point and loadable sections, joined where they touch; the part executed in place comes first."""
    if elf[:7] != b"\x7fELF\x01\x01\x01":
        raise ImageError("not a 32-bit little-endian ELF file")
    entry, _, section_offset = struct.unpack_from("<III", elf, 24)
    size, count = struct.unpack_from("<HH", elf, 46)
    found: list[Segment] = []
    for i in range(count):
        _, kind, flags, address, offset, n = struct.unpack_from("<IIIIII", elf, section_offset + i * size)
        if kind in (1, 14, 15) and flags & 2 and n:  # PROGBITS and constructor arrays, SHF_ALLOC
            found.append(Segment(address, elf[offset : offset + n]))
    found.sort(key=lambda s: (not s.in_window(), s.address))
    joined: list[Segment] = []
    for s in found:
        gap = s.address - (joined[-1].address + len(joined[-1].data)) if joined else -1
        if 0 <= gap < 16 and joined[-1].in_window() == s.in_window():
            joined[-1].data += bytes(gap) + s.data
        else:
            joined.append(s)
    return entry, joined


def pack(entry: int, segments: list[Segment], mode: str = "dio", size: int = 0x400000, mhz: int = 40) -> bytes:
    """The image: header, segments padded to words, checksum in the last byte of the last 16."""
    if len(segments) > MAX_SEGMENTS:
        raise ImageError(f"{len(segments)} segments, {MAX_SEGMENTS} at most")
    out = bytearray(struct.pack("<BBBBI", MAGIC, len(segments), _MODES[mode], _SIZES[size] << 4 | _FREQUENCIES[mhz], entry))
    checksum = CHECKSUM_SEED
    for s in segments:
        data = s.data + bytes(-len(s.data) % 4)
        out += struct.pack("<II", s.address, len(data)) + data
        for byte in data:
            checksum ^= byte
    out += bytes(15 - len(out) % 16)
    out.append(checksum)
    return bytes(out)


def unpack(image: bytes) -> tuple[int, list[tuple[int, Segment]]]:
    """Entry point and (offset of the data, segment); raises ImageError if the image is damaged."""
    if len(image) < 16 or image[0] != MAGIC:
        raise ImageError("no 0xE9 header")
    if not 1 <= image[1] <= MAX_SEGMENTS:
        raise ImageError(f"{image[1]} segments, 1 to {MAX_SEGMENTS} are allowed")
    entry = struct.unpack_from("<I", image, 4)[0]
    found = []
    at, checksum = 8, CHECKSUM_SEED
    for _ in range(image[1]):
        if at + 8 > len(image):
            raise ImageError("cut short in a segment header")
        address, n = struct.unpack_from("<II", image, at)
        at += 8
        if n > len(image) - at:
            raise ImageError("cut short in a segment")
        found.append((at, Segment(address, image[at : at + n])))
        for byte in image[at : at + n]:
            checksum ^= byte
        at += n
    last = at | 15
    if last >= len(image) or image[last] != checksum:
        raise ImageError("checksum differs")
    return entry, found


def check_window(segments: list[Segment], payload_window_address: int) -> None:
    """The segment executed in place must be the first, linked for where it will lie: 16 bytes into the payload."""
    inside = [s for s in segments if s.in_window()]
    if len(inside) > 1:
        raise ImageError("more than one segment is executed in place")
    if inside and (segments[0] is not inside[0] or inside[0].address != payload_window_address + 16):
        raise ImageError(f"linked at {inside[0].address:#x}, the payload runs at {payload_window_address + 16:#x}")


def check_payload(image: bytes, payload_window_address: int) -> None:
    """Refuses what the second boot does not load (SPEC.md, section 6)."""
    entry, found = unpack(image)
    segments = [s for _, s in found]
    check_window(segments, payload_window_address)
    for s in segments:
        n = len(s.data)
        inside = s.in_window() or any(memory.start <= s.address <= memory.stop - n for memory in (IRAM, DRAM))
        if not inside or (s.address | n) & 3:
            raise ImageError(f"a segment of {n} bytes cannot lie at {s.address:#x}")
    if not IRAM.start <= entry <= IRAM.stop - 4:
        raise ImageError(f"entry {entry:#x} is not in IRAM")


def check_second_boot(image: bytes, flash_size: int) -> None:
    """Refuses what the chip's ROM does not load, or `main` has not made for this flash."""
    unpack(image)
    if image[3] >> 4 != _SIZES[flash_size]:
        raise ImageError("made for a flash of another size")


def main(args: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="mpota.esp8266", description="Makes an ESP8266 image of an ELF file.")
    parser.add_argument("elf", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--board", required=True)
    parser.add_argument("--second-boot", action="store_true", help="it goes to flash offset 0, not into a slot")
    options = parser.parse_args(args)
    try:
        board = boards.load(options.board, Path(__file__).parents[2] / "boards")
        entry, segments = elf_segments(options.elf.read_bytes())
        image = pack(entry, segments, size=board.flash_size)
        if not options.second_boot:
            check_payload(image, board.payload_address)
        limit = board.second_boot.size if options.second_boot else board.payload_limit
        if len(image) > limit:
            raise ImageError(f"{len(image)} bytes, {limit} at most")
    except (ImageError, ToolError) as e:
        print(f"mpota: {options.elf}: {e}", file=sys.stderr)
        return 1
    options.out.write_bytes(image)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
