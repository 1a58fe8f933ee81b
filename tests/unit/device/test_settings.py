"""Settings outlive a restart, a cut and a garbled file."""

# SPDX-License-Identifier: MIT
import os

from ota import settings

GOOD = {"ssid": "net", "password": "secret", "pk": "a1", "dn": "d", "ds": "s", "ps": "p", "server": "host:1883"}


def write(data, name="ota.json"):
    with open(name, "wb") as f:
        f.write(data)


def remove():
    for name in ("ota.json", "ota.json.new"):
        try:
            os.remove(name)
        except OSError:
            pass


def test_what_was_saved_is_loaded():
    settings.save(GOOD)
    assert settings.load() == GOOD
    settings.save({"pk": "b"})
    assert settings.load() == {"pk": "b"}


def test_missing_file_is_no_settings():
    remove()
    assert settings.load() == {}


def test_file_of_garbage_is_no_settings():
    for data in (b"", b"\0", b"\xff" * 100, b"[", b"null", b"1", b'"x"', b"[1]", b"{[1]:2}", b'{"pk":"\xff"}', b"[" * 500):
        write(data)
        assert settings.load() == {}, data


def test_values_of_a_wrong_type_or_too_long_are_left_out():
    write(b'{"pk":1,"dn":null,"ds":["x"],"ps":{"a":"b"},"ssid":"net","other":"x","server":"' + b"x" * 129 + b'"}')
    assert settings.load() == {"ssid": "net"}


def test_file_cut_at_any_byte_loads_no_wrong_value():
    settings.save(GOOD)
    with open("ota.json", "rb") as f:
        whole = f.read()
    for n in range(len(whole)):
        write(whole[:n])
        found = settings.load()
        for key in found:
            assert found[key] == GOOD[key]


def test_cut_during_save_keeps_the_old_settings():
    settings.save(GOOD)
    for part in (b"", b'{"ssid": "ne', b"\0\0"):
        write(part, "ota.json.new")
        assert settings.load() == GOOD
    settings.save({"pk": "b"})
    assert settings.load() == {"pk": "b"}


def test_save_that_cannot_write_keeps_the_old_settings():
    settings.save(GOOD)
    os.mkdir("ota.json.new")
    try:
        settings.save({"pk": "b"})
        assert False
    except OSError:
        pass
    os.rmdir("ota.json.new")
    assert settings.load() == GOOD
