"""Instruction counts, exact and repeatable: with `-icount shift=0,sleep=off` one takes a nanosecond of the 40 MHz counter."""

import struct

import otacore
import pytest
from machine import IROM, SLOT_A, TRAILER, Board, elf, esp8266, image

PER_COUNT = 25
CONSOLE_WINDOW = 100_000_000  # the second boot listens for 100 ms: not work
TELL = """
void start(void) { uint32_t c = ccount(); ets_printf("entered at %u\\n", c); for (;;) { } }
void IROM rest(void) { }
"""


def counted(tmp_path, second_boot, confirmed, size):
    entry, segments = esp8266.elf_segments(elf(tmp_path, TELL, IROM))
    segments[0].data = segments[0].data.ljust(size, b"\x5a")
    trailer = b""
    if confirmed:
        trailer = otacore.mark("C", number=1, tail=struct.pack("<IH", 7, 0)) * 2 + otacore.mark("Y") * 2
    parts = {0: second_boot, SLOT_A: image(esp8266.pack(entry, segments)), SLOT_A + TRAILER: trailer}
    with Board(tmp_path, parts, icount="shift=0,sleep=off") as board:
        return int(board.port.expect(r"entered at (\d+)\r", timeout=60).group(1)) * PER_COUNT - CONSOLE_WINDOW


@pytest.mark.parametrize("confirmed, size, budget", [(True, 600_000, 1_000_000), (False, 4, 6_000_000), (False, 600_000, 45_000_000)])
def test_cold_boot_to_image_entry(tmp_path, second_boot, record_property, confirmed, size, budget):
    instructions = counted(tmp_path, second_boot, confirmed, size)
    record_property("instructions", instructions)
    print(f"cold boot, {'confirmed' if confirmed else 'verified'}, {size} bytes in place: {instructions} instructions")
    assert 0 < instructions < budget
