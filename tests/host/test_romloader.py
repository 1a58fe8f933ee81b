"""The emulated ROM's download mode, told nonsense."""
# SPDX-License-Identifier: MIT

import random
import struct

import pytest

from mpota.romloader import RomLoader, SlipDecoder, slip_encode

SIZE = 1 << 16
FAILED = b"\x01\x05"


@pytest.fixture
def loader(tmp_path):
    (tmp_path / "flash").write_bytes(b"\xff" * SIZE)
    return RomLoader(tmp_path / "flash")


def said(loader, command, body):
    """The status that answers a command."""
    replies = SlipDecoder().push(loader.push(slip_encode(struct.pack("<BBHI", 0, command, len(body), 0) + body)))
    return [reply[8:] for reply in replies]


@pytest.mark.parametrize(("command", "needs"), [(2, 16), (3, 8), (9, 8), (10, 4)])
def test_packet_too_short_for_its_command_is_refused(loader, command, needs):
    assert all(said(loader, command, bytes(n)) == [FAILED] for n in range(needs))


def test_packet_of_another_length_than_it_says_is_dropped(loader):
    packet = struct.pack("<BBHI", 0, 10, 4, 0) + bytes(4)
    assert loader.push(slip_encode(packet)) != b""
    assert [loader.push(slip_encode(packet[:n])) for n in range(len(packet))] == [b""] * len(packet)
    assert loader.push(slip_encode(packet + b"x")) == b""


def test_nothing_is_written_outside_the_flash(loader, tmp_path):
    chance = random.Random(3)
    numbers = (0, 1, 4096, SIZE - 1, SIZE, SIZE + 1, 0xFFFFFFFF)
    for _ in range(2000):
        said(loader, 2, struct.pack("<4I", *(chance.choice(numbers) for _ in range(4))))
        said(loader, 3, struct.pack("<4I", 17, 0, 0, 0) + b"\xef" + bytes(16))  # its checksum is 0
        said(loader, chance.choice((3, 4, 8, 9, 10)), chance.randbytes(chance.randrange(40)))
    data = (tmp_path / "flash").read_bytes()
    assert len(data) == SIZE and b"\xef" in data
