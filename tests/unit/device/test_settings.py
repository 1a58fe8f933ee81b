"""Settings outlive a restart and whatever is found in their place."""

# SPDX-License-Identifier: MIT
from ota import settings
from ota.parameters import Parameters

from fakes import Board

GOOD = {"ssid": "net", "password": "secret", "pk": "a1", "dn": "d", "ds": "s", "ps": "p", "server": "host:1883"}


def holding(text):
    board = Board()
    Parameters(board.flash, board.parameters).save(text)
    return board


def test_what_was_changed_is_loaded():
    board = Board()
    assert settings.load(board) == {}
    assert settings.change(board, GOOD) == GOOD
    assert settings.load(board) == GOOD
    assert settings.change(board, {"pk": "b", "ssid": None}) == settings.load(board)
    assert settings.load(board)["pk"] == "b" and "ssid" not in settings.load(board)


def test_text_beyond_ascii_is_kept():
    board = Board()
    settings.change(board, {"ssid": "\u00fcber \u4e2d"})
    assert settings.load(board) == {"ssid": "\u00fcber \u4e2d"}


def test_garbage_is_no_settings():
    for data in (b"", b"\0", b"\xff" * 100, b"[", b"null", b"1", b'"x"', b"[1]", b"{[1]:2}", b'{"pk":"\xff"}', b"[" * 500):
        assert settings.load(holding(data)) == {}, data


def test_values_of_a_wrong_type_or_too_long_are_left_out():
    board = holding(b'{"pk":1,"dn":null,"ds":["x"],"ps":{"a":"b"},"ssid":"net","other":"x","server":"' + b"x" * 129 + b'"}')
    assert settings.load(board) == {"ssid": "net"}


def test_registered_secret_belongs_to_one_device_and_is_no_setting():
    board = Board()
    settings.change(board, GOOD)
    assert settings.secret(board, "a1", "d") is None
    settings.keep_secret(board, "a1", "d", "own")
    assert settings.secret(board, "a1", "d") == "own"
    assert settings.secret(board, "a1", "e") is None and settings.secret(board, "a2", "d") is None
    assert settings.load(board) == GOOD
    settings.change(board, {"server": "other:1"})
    assert settings.secret(board, "a1", "d") == "own"


def test_updates_do_not_touch_what_is_kept():
    board = Board()
    settings.keep_secret(board, "a1", "d", "own")
    slot = board.slot(1)
    slot.begin(0, 60000, b"digest")
    slot.aim(slot.offset, slot.offset + 4096)
    slot.write_part(slot.offset, 4096)
    assert settings.secret(board, "a1", "d") == "own"
