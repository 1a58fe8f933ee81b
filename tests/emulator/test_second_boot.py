"""The second boot alone: which image it starts, which it refuses, and the console when there is none."""

import dataclasses
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import otacore
import pytest
from machine import (BUILD, HEADER, IROM, REPO, SECTOR, SLOT_A, SLOT_B, SLOT_SIZE, TRAILER, Board, elf, esp8266, image, make)
from mpota import board, config, emulate

CONSOLE = "send an image by YMODEM, for slot "
HELLO = """
void IROM flash_code(void) {
    volatile uint32_t *h = (volatile uint32_t *)0x600013f0;
    ets_printf("image %s magic %%x what %%08x at %%x check %%d\\n", h[0], h[1], h[2], h[3] == ~(h[0] ^ h[1] ^ h[2]));
    %s
    for (;;) WDT_FEED = WDT_FEED_KEY;
}
void start(void) {
    uint32_t bank = *(volatile uint32_t *)0x600013f8 >> 20;
    Cache_Read_Enable(bank & 1, bank >> 1, 1);
    flash_code();
}"""
HANG = "for (;;) { }"


@pytest.fixture(scope="module")
def payloads(tmp_path_factory):
    """A function making a payload that names itself and then runs `code`."""
    made = {}

    def payload(name, code=""):
        if (name, code) not in made:
            folder = tmp_path_factory.mktemp("payload")
            made[name, code] = esp8266.pack(*esp8266.elf_segments(elf(folder, HELLO.replace("%s", name, 1).replace("%s", code).replace("%%", "%"), IROM)))
        return made[name, code]

    return payload


def marks(*each):
    """Marks as bytes: pairs of a kind and its keywords; kinds kept twice are written twice."""
    return b"".join(otacore.mark(kind, **fields) * (1 if kind in "PT" else 2) for kind, fields in each)


def complete(sequence, counter=7):
    return "C", {"number": sequence, "tail": struct.pack("<IH", counter, 0)}


CONFIRMED = ("Y", {})


def flash(second_boot, a=None, b=None, a_marks=b"", b_marks=b""):
    parts = {0: second_boot, SLOT_A + TRAILER: a_marks, SLOT_B + TRAILER: b_marks}
    parts |= {offset: data for offset, data in ((SLOT_A, a), (SLOT_B, b)) if data is not None}
    return parts


@pytest.mark.parametrize("slot", "ab")
def test_factory_image_runs_from_either_slot(tmp_path, second_boot, payloads, slot):
    made = image(payloads("one"))
    with Board(tmp_path, flash(second_boot, **{slot: made})) as board:
        found = board.port.expect(r"image one magic (\w+) what (\w+) at (\w+) check (\d)")
    assert found.groups() == (b"544f504d", b"01030000" if slot == "a" else b"01030001", b"%x" % (SLOT_A if slot == "a" else SLOT_B), b"1")


@pytest.mark.parametrize("slot", [0, 1])
def test_two_megabyte_board_runs_the_same_payload(tmp_path, rom, payloads, slot):
    facts = board.load("esp8266-2m", REPO / "boards")
    make("second_boot", facts, BUILD / "2m")
    parts = {0: (BUILD / "2m" / "second_boot.bin").read_bytes(), facts.slots[slot].offset: image(payloads("two"), cls="product-key/esp8266-2m")}
    with Board(tmp_path, parts, size=facts.flash_size) as emulated:
        found = emulated.port.expect(r"image two magic 544f504d what 0103000(\d) at (\w+) check 1")
    assert int(found.group(1)) == slot and int(found.group(2), 16) == facts.slots[slot].offset


@pytest.mark.parametrize("does", [HANG, '__asm__ volatile ("ill");'], ids=["hangs", "crashes"])
def test_confirmed_image_starts_without_being_hashed_unless_the_watchdog_bit(tmp_path, second_boot, payloads, does):
    """What rotted may come to nothing before it could arm a watchdog of its own."""
    good, rotten = image(payloads("good")), bytearray(image(payloads("bad", does)))
    rotten[-1] ^= 1
    parts = flash(second_boot, good, bytes(rotten), marks(complete(1), CONFIRMED), marks(complete(2), CONFIRMED))
    with Board(tmp_path, parts, watchdog_ms=300) as board:
        board.port.expect("image bad")
        board.port.expect("wdt reset.*image good")


def test_confirmed_image_that_cannot_be_loaded_stands_in_no_other_ones_way(tmp_path, second_boot, payloads):
    parts = flash(second_boot, image(payloads("good")), image(bytes(4096)), marks(complete(1), CONFIRMED), marks(complete(2), CONFIRMED))
    with Board(tmp_path, parts) as board:
        board.port.expect("image good")


def test_console_refuses_what_it_could_not_start(tmp_path, second_boot, payloads):
    with Board(tmp_path, flash(second_boot, image(payloads("old")), None, marks(complete(4), CONFIRMED))) as board:
        open_console(board)
        ymodem(board.port, image(bytes(4096)))
        board.port.expect("refused, 1002.*image old")


def test_trial_is_counted_watched_and_given_up(tmp_path, second_boot, payloads):
    parts = flash(second_boot, image(payloads("old")), image(payloads("new", HANG)), marks(complete(1), CONFIRMED), marks(complete(2)))
    with Board(tmp_path, parts, watchdog_ms=300) as board:
        for trial in (1, 2, 3):
            found = board.port.expect(r"image (\w+) magic 544f504d what (\w+) ")
            assert found.group(1) == b"new" and int(found.group(2), 16) & 0xFFFFFF == 0x020001 | trial << 8
        board.port.expect("wdt reset.*image old magic 544f504d what 04010000")
    trailer = board.flash.read_bytes()[SLOT_B + TRAILER:][:SECTOR]
    assert trailer[:128].startswith(marks(complete(2)))
    kinds = [trailer[i : i + 1] for i in range(0, 128, 16)]
    assert kinds == [b"C", b"C", b"T", b"T", b"T", b"X", b"X", b"\xff"]


def test_crash_is_a_failed_trial_too(tmp_path, second_boot, payloads):
    crash = image(payloads("crash", "*(volatile int *)0x3ff00024 = 1;"))
    parts = flash(second_boot, image(payloads("old")), crash, marks(complete(1), CONFIRMED), marks(complete(2)))
    with Board(tmp_path, parts, watchdog_ms=300) as board:
        board.port.expect("image crash.*image crash.*image crash.*image old", timeout=20)


def test_lower_security_counter_is_no_candidate(tmp_path, second_boot, payloads):
    parts = flash(second_boot, image(payloads("old"), counter=7), image(payloads("low"), counter=6),
                  marks(complete(1), CONFIRMED), marks(complete(2, counter=6)))
    with Board(tmp_path, parts) as board:
        board.port.expect("image old")
        assert b"image low" not in board.port.heard


def segments(payload):
    entry, found = esp8266.unpack(payload)
    return entry, [s for _, s in found]


def moved(payload, address, n=4):
    """The payload with one more segment, which no loader may load."""
    entry, found = segments(payload)
    return esp8266.pack(entry, [*found, esp8266.Segment(address, bytes(n))])


@pytest.mark.parametrize("address, n", [
    (0x3FFFC000, 4), (0x3FFFFFF0, 16), (0x3FFF8000, 4), (0x3FFF7FFC, 8), (0x3FFE7FFC, 4), (0x4010C000, 4), (0x40107FFC, 8), (0x400FFFFC, 4),
    (0x60001200, 4), (0x00000000, 4), (0xFFFFFFFC, 4), (0x40000000, 4), (0x40100001, 4), (0x40300000, 4), (0x40280000, 4),
])
def test_segment_where_none_may_go_is_refused(tmp_path, second_boot, payloads, address, n):
    payload = moved(payloads("one"), address, n)
    with pytest.raises(esp8266.ImageError):
        esp8266.check_payload(payload, IROM - 16)
    with Board(tmp_path, flash(second_boot, image(payload))) as board:
        board.port.expect(CONSOLE)
        assert b"image one" not in board.port.heard


def damaged_headers(payload):
    entry, found = segments(payload)
    yield "magic", b"\xea" + payload[1:]
    yield "no segments", payload[:1] + b"\0" + payload[2:]
    yield "too many segments", payload[:1] + b"\x11" + payload[2:]
    yield "more segments than there are", payload[:1] + b"\x0f" + payload[2:]
    yield "entry in flash", payload[:4] + struct.pack("<I", IROM) + payload[8:]
    yield "entry in the loader", payload[:4] + struct.pack("<I", 0x4010C000) + payload[8:]
    yield "segment longer than the payload", payload[:12] + struct.pack("<I", len(payload)) + payload[16:]
    yield "segment length that wraps", payload[:12] + struct.pack("<I", 0xFFFFFFFC) + payload[16:]
    yield "segment of odd length", payload[:12] + struct.pack("<I", 5) + payload[16:]
    yield "linked for another place", esp8266.pack(entry, [esp8266.Segment(IROM + 16, found[0].data), *found[1:]])
    yield "executed in place but not first", esp8266.pack(entry, [*found[1:], found[0]])
    yield "shorter than its header", payload[:6]


@pytest.mark.parametrize("case", range(12))
def test_payload_with_a_damaged_header_is_refused(tmp_path, second_boot, payloads, case):
    esp8266.check_payload(payloads("one"), IROM - 16)
    _, payload = list(damaged_headers(payloads("one")))[case]
    with pytest.raises(esp8266.ImageError):
        esp8266.check_payload(payload, IROM - 16)
    with Board(tmp_path, flash(second_boot, image(payload))) as board:
        board.port.expect(CONSOLE + "A")
        assert b"image one" not in board.port.heard


@pytest.mark.parametrize("options", [{"key": "test-rsa2048-foreign"}, {"key": None}, {"vendor": "other.test"}, {"cls": "product-key/other"}])
def test_image_signed_by_another_or_for_another_is_refused(tmp_path, second_boot, payloads, options):
    with Board(tmp_path, flash(second_boot, image(payloads("one"), **options))) as board:
        board.port.expect(CONSOLE)
        assert b"image one" not in board.port.heard


@pytest.mark.parametrize("offset", [0, 8, 9, 12, 16, HEADER, HEADER + 40, -300, -1])
def test_image_with_one_byte_changed_is_refused(tmp_path, second_boot, payloads, offset):
    made = bytearray(image(payloads("one")))
    made[offset] ^= 0x40
    with Board(tmp_path, flash(second_boot, bytes(made))) as board:
        board.port.expect(CONSOLE)
        assert b"image one" not in board.port.heard


def test_trial_that_cannot_be_loaded_costs_its_tries_and_the_old_image_runs(tmp_path, second_boot, payloads):
    parts = flash(second_boot, image(payloads("old")), image(moved(payloads("new"), 0x3FFFC000)),
                  marks(complete(1), CONFIRMED), marks(complete(2)))
    with Board(tmp_path, parts) as board:
        board.port.expect("image old")
        assert b"image new" not in board.port.heard


def crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return crc


def packet(number, data, size):
    data = data.ljust(size, b"\x1a" if number else b"\0")
    return bytes([2 if size == 1024 else 1, number & 255, ~number & 255]) + data + crc16(data).to_bytes(2, "big")


def ymodem(port, data, spoil=None, size=1024):
    """Sends a file; `spoil` is a block to send with a wrong CRC first."""
    port.expect("C", timeout=5)
    port.send(packet(0, b"image.bin\0%d" % len(data), 128))
    if port.expect("\x06[C\x18]").group().endswith(b"\x18"):
        return
    for i in range(0, len(data), size):
        number = i // size + 1
        block = packet(number, data[i : i + size], size)
        if number == spoil:
            port.send(block[:-1] + bytes([block[-1] ^ 1]))
            port.expect("\x15")
        port.send(block)
        if not port.expect("[\x06\x18]").group() == b"\x06":
            return
    port.send(b"\x04")
    port.expect("\x06C")
    port.send(packet(0, b"", 128))
    port.expect("\x06")


@pytest.mark.parametrize("size, spoil", [(1024, 2), (128, None)])
def test_both_slots_corrupt_then_ymodem_then_it_boots(tmp_path, second_boot, payloads, size, spoil):
    broken = bytearray(image(payloads("one")))
    broken[HEADER + 20] ^= 1
    # Confirmed and with a good header: starts, fails its hash only when suspicion falls on it.
    parts = flash(second_boot, bytes(broken), bytes(broken))
    with Board(tmp_path, parts) as board:
        board.port.expect(CONSOLE + "A\r\n")
        ymodem(board.port, image(payloads("rescue")), spoil, size)
        board.port.expect("installed.*image rescue magic 544f504d what 01010000")


def open_console(board):
    board.port.expect("image old")
    board.reset()
    ask_for_console(board)


def ask_for_console(board):
    end = time.monotonic() + 5
    while CONSOLE.encode() not in board.port.heard and time.monotonic() < end:
        board.port.send("w")
        board.port.read(0.02)
    board.port.expect(CONSOLE + "B\r\n")


def test_w_opens_the_console_after_a_restart_by_the_image_too(tmp_path, second_boot, payloads):
    """It leaves the clock, on which the serial speed hangs, as the SDK has set it."""
    restart = "rom_i2c_writeReg(103, 4, 1, 136); rom_i2c_writeReg(103, 4, 2, 145); ((void (*)(void))0x40000080)();"
    with Board(tmp_path, flash(second_boot, image(payloads("old", restart)), None, marks(complete(4), CONFIRMED))) as board:
        board.port.expect("image old.*image old")
        ask_for_console(board)


def test_w_opens_the_console_and_what_it_installs_supersedes(tmp_path, second_boot, payloads):
    parts = flash(second_boot, image(payloads("old")), None, marks(complete(4), CONFIRMED))
    with Board(tmp_path, parts) as board:
        open_console(board)
        ymodem(board.port, image(payloads("next")))
        board.port.expect("installed.*image next")
    assert board.flash.read_bytes()[SLOT_B + TRAILER:][:32] == marks(complete(5))


@pytest.mark.parametrize("options, code", [
    ({"key": "test-rsa2048-foreign"}, "1006"), ({"cls": "product-key/other"}, "1008"), ({"counter": 6}, "1009"),
])
def test_console_refuses_what_a_trial_would_refuse(tmp_path, second_boot, payloads, options, code):
    broken = b"\0" * 64
    parts = flash(second_boot, broken, None, marks(complete(4, counter=7), CONFIRMED))
    with Board(tmp_path, parts) as board:
        board.port.expect(CONSOLE + "B\r\n")
        ymodem(board.port, image(payloads("no"), **options))
        board.port.expect(f"refused, {code}.*{CONSOLE}B")


def test_second_boot_built_without_console_tries_as_often_as_configured_and_listens_to_nobody(tmp_path, rom, payloads):
    options = dataclasses.replace(config.load(os.devnull, REPO / "boards"), tries=1, console=False)
    make("second_boot", build=BUILD / "other", options=options)
    other = (BUILD / "other" / "second_boot.bin").read_bytes()
    parts = flash(other, image(payloads("old")), image(payloads("new", HANG)), marks(complete(1), CONFIRMED), marks(complete(2)))
    with Board(tmp_path / "trial", parts, watchdog_ms=300) as board:
        board.port.send("w" * 8)
        board.port.expect("image new.*wdt reset.*image old")
        assert board.port.heard.count(b"image new") == 1
    with Board(tmp_path / "nothing", flash(other)) as board:
        board.port.expect("rst cause:1.*rst cause:1.*rst cause:1")
        assert CONSOLE.encode() not in board.port.heard


def test_console_that_hears_noise_and_then_nothing_restarts_the_board(tmp_path, second_boot, payloads):
    with Board(tmp_path, flash(second_boot, image(payloads("old")), a_marks=marks(complete(4), CONFIRMED))) as board:
        open_console(board)
        for _ in range(28):  # 20 ms of the minute for each byte; the rest is silence
            board.port.send("~" * 100)
            board.port.expect("\x15{100}")
        board.port.expect("image old", timeout=20)


def test_console_that_hears_nothing_but_ends_of_files_restarts_the_board(tmp_path, second_boot, payloads):
    with Board(tmp_path, flash(second_boot, image(payloads("old")), a_marks=marks(complete(4), CONFIRMED))) as board:
        open_console(board)
        for _ in range(40):
            board.port.send(b"\x04" * 100)
            if board.port.expect("(\x06C){100}|image old", timeout=20)[0] == b"image old":
                return
    raise AssertionError("the console is held open")


def test_console_that_is_cancelled_starts_the_image(tmp_path, second_boot, payloads):
    with Board(tmp_path, flash(second_boot, image(payloads("old")), a_marks=marks(complete(4), CONFIRMED))) as board:
        open_console(board)
        board.port.send(b"\x18")
        board.port.expect("image old", timeout=20)


def test_console_refuses_more_than_a_slot_holds(tmp_path, second_boot):
    with Board(tmp_path, flash(second_boot)) as board:
        board.port.expect(CONSOLE)
        ymodem(board.port, b"x" * SLOT_SIZE)
        board.port.expect("refused, 1003", timeout=20)


def test_second_boot_fits_and_esptool_reads_it(second_boot):
    assert len(second_boot) <= 0x4000
    said = subprocess.run([sys.executable, "-m", "esptool", "image-info", BUILD / "second_boot.bin"], capture_output=True, text=True, check=True).stdout
    assert "Checksum" in said and "(valid)" in said
    assert emulate.EXIT_POWER_CUT


def test_what_mpota_flashes_starts_on_a_board_that_was_updated(tmp_path, second_boot, payloads):
    old, new = image(payloads("old")), image(payloads("new"))
    (tmp_path / "new.img").write_bytes(new)
    parts = flash(second_boot, None, old, marks(complete(1), CONFIRMED), marks(complete(2), CONFIRMED)) | {SLOT_B + SLOT_SIZE: b"files"}
    with Board(tmp_path, parts) as board:
        board.port.expect("image old")
        assert mpota_flash(board, tmp_path / "new.img").returncode == 0
        board.port.expect("image new")
    kept = board.flash.read_bytes()
    assert kept[SLOT_A:].startswith(new) and kept[SLOT_B:].startswith(old)
    assert all(kept[slot + TRAILER :][:SECTOR] == b"\xff" * SECTOR for slot in (SLOT_A, SLOT_B))
    assert kept[SLOT_B + SLOT_SIZE :].startswith(b"files"), "the ROM erases two sectors for the last one of a block"


def mpota_flash(board, path):
    command = [Path(sys.executable).parent / "mpota", "flash", path, "--board", "esp8266", "--port", board.rfc2217_url]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_chip_that_is_too_small_for_the_board_is_not_flashed(tmp_path, second_boot, payloads):
    (tmp_path / "new.img").write_bytes(image(payloads("new")))
    with Board(tmp_path, flash(second_boot), size=0x200000) as board:
        before = board.flash.read_bytes()
        done = mpota_flash(board, tmp_path / "new.img")
        assert done.stderr == f"mpota: {board.rfc2217_url}: its flash has 2048 KiB, esp8266 needs 4096\n"
    assert done.returncode == 1 and board.flash.read_bytes() == before
