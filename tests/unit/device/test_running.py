"""What the running image says of itself."""

# SPDX-License-Identifier: MIT
from ota import running

from fakes import Board, code_of, image


def read(board, i=0):
    """Version, counter, and how often the watchdog was fed."""
    fed = board.fed
    found = running.read(board.slot(i), board.feed)
    return found + (board.fed - fed,)


def test_factory_image_is_read_to_its_end_for_its_counter():
    board = Board(confirmed=False)
    assert read(board) == ("1.0.0", 5, 5)
    board.chip.put(0, image("new"))
    assert read(board) == ("1.1.0", 6, 11)


def test_complete_slot_needs_its_beginning_alone():
    assert read(Board()) == ("1.0.0", 5, 1)


def test_build_number_is_part_of_the_version():
    board = Board()
    board.chip.put(28 - 4, b"\x39\x30\0\0")
    assert read(board)[0] == "1.0.0+12345"


def test_slot_without_an_image_is_a_refusal():
    board = Board()
    assert code_of(read, board, 1) == 1001
