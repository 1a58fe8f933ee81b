"""The tools people use, for real: mpota emulate, esptool, mpremote, ampy."""

import contextlib
import functools
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from machine import BUILD, REPO, SLOT_A, Board

VENV = Path(sys.executable).parent


def tool(*words, timeout=60):
    done = subprocess.run([str(VENV / words[0]), *map(str, words[1:])], capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stdout[-800:] + done.stderr[-800:]
    return done.stdout


@pytest.fixture(scope="module")
def files(tmp_path_factory, second_boot, firmware):
    folder = tmp_path_factory.mktemp("files")
    (folder / "image.bin").write_bytes(firmware)
    return folder


@pytest.fixture
def board(tmp_path, second_boot, firmware):
    with Board(tmp_path, {0: second_boot, SLOT_A: firmware}) as board:
        board.port.expect(">>> $")
        yield board


def runs(flash):
    """The number of the QEMU that has this flash file, or None."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # a process that has just ended
            command = path.read_bytes()
            if command.startswith(b"qemu-system") and bytes(flash) in command:
                return int(path.parent.name)
    return None


def refused(*words, **options):
    """What `mpota emulate` says in its one line."""
    command = [VENV / "mpota", "emulate", *words]
    done = subprocess.run([str(word) for word in command], cwd=REPO, capture_output=True, text=True, timeout=60, check=False, **options)
    assert done.returncode == 1 and done.stderr.startswith("mpota: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr[len("mpota: ") : -1]


ROM = ("--rom", BUILD / "rom" / "rom.elf")


def test_what_cannot_be_flash_or_rom_is_refused(tmp_path, rom):
    short, new, program = tmp_path / "short.bin", tmp_path / "new.bin", tmp_path / "program"
    short.write_bytes(bytes(100))
    program.write_bytes(b"\x7fELF" + bytes(100))
    assert refused("esp8266", short, *ROM) == f"{short}: 100 bytes, while the board's flash has 4194304"
    assert refused("esp8266", tmp_path, *ROM) == f"{tmp_path}: Is a directory"
    assert refused("esp8266", "/proc/none.bin", *ROM) == "/proc/none.bin: No such file or directory"
    assert refused("esp8266", new, "--rom", program) == f"{program}: not a mask ROM, which is an ELF file for Xtensa"
    assert refused("linuxhost", new, *ROM) == "linuxhost: this board is not emulated"
    assert not new.exists()


def test_full_disk_leaves_no_flash_file(tmp_path, rom):
    limit = 1 << 20
    said = refused("esp8266", tmp_path / "a.bin", *ROM, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert said == f"{tmp_path}/a.bin: File too large"
    assert list(tmp_path.iterdir()) == []


def test_flash_file_has_one_board(tmp_path, rom):
    flash = tmp_path / "a.bin"
    assert refused("esp8266", flash, flash, *ROM) == f"{flash}: another emulator runs on this flash"
    assert not runs(flash)


def test_dead_board_ends_the_emulator_with_one_line(tmp_path, rom):
    flash = tmp_path / "a.bin"
    command = [VENV / "mpota", "emulate", "esp8266", flash, *ROM]
    with subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as emulator:
        try:
            emulator.stdout.readline()
            os.kill(runs(flash), signal.SIGKILL)
            assert emulator.wait(30) == 1
        finally:
            emulator.kill()
        assert emulator.stderr.read() == f"mpota: {flash}: stopped with status -9\n"


def test_killed_emulator_leaves_no_board(tmp_path, rom):
    flash = tmp_path / "lamp.bin"
    command = [VENV / "mpota", "emulate", "esp8266", flash, "--rom", BUILD / "rom" / "rom.elf"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as emulator:
        said = dict(emulator.stdout.readline().split(maxsplit=1) for _ in range(2))
        host, port = said["socket"].strip().removeprefix("socket://").split(":")
        socket.create_connection((host, int(port))).close()
        assert runs(flash)
        emulator.kill()
    end = time.monotonic() + 60
    while runs(flash):
        assert time.monotonic() < end, "the board runs on"
        time.sleep(0.05)


def test_esptool_resets_into_the_loader_writes_and_resets_into_the_program(tmp_path, second_boot, firmware):
    with Board(tmp_path, {SLOT_A: firmware}) as board:
        board.port.expect("ets_main.c 181")
        said = tool("esptool", "--chip", "esp8266", "--port", board.rfc2217_url, "--no-stub", "write-flash", "0", BUILD / "second_boot.bin")
        assert "5c:cf:7f:12:34:56" in said
        board.port.expect(">>> $")
    assert board.flash.read_bytes()[: len(second_boot)] == second_boot


def test_esptool_writes_loader_and_image_through_a_plain_socket(tmp_path, files, firmware):
    with Board(tmp_path, {}) as board:
        board.download()
        tool("esptool", "--chip", "esp8266", "--port", board.url, "--before", "no-reset", "--after", "no-reset", "--no-stub",
             "write-flash", "0", BUILD / "second_boot.bin", hex(SLOT_A), files / "image.bin")
        board.reset()
        board.port.expect("rst cause:[12].*>>> $")  # 1: it had not run before
    assert board.flash.read_bytes()[SLOT_A:][: len(firmware)] == firmware


def test_esptool_recognizes_chip_and_flash(tmp_path):
    with Board(tmp_path, {}, size=0x200000) as board:
        board.download()
        said = tool("esptool", "--port", board.url, "--before", "no-reset", "--after", "no-reset", "--no-stub", "flash-id")
    assert "ESP8266EX" in said and "2MB" in said


def test_esptool_accepts_the_payload(firmware):
    assert "(valid)" in tool("esptool", "image-info", BUILD / "firmware.bin")


def test_mpremote_runs_code_and_copies_files(board, tmp_path):
    board.port.close()
    assert tool("mpremote", "connect", board.url, "exec", "print(6 * 7)").strip() == "42"
    (tmp_path / "a.txt").write_bytes(bytes(range(256)) * 20)
    tool("mpremote", "connect", board.url, "fs", "cp", tmp_path / "a.txt", ":a.txt")
    tool("mpremote", "connect", board.url, "fs", "cp", ":a.txt", tmp_path / "b.txt")
    assert (tmp_path / "b.txt").read_bytes() == (tmp_path / "a.txt").read_bytes()
    (tmp_path / "run.py").write_text("import os\nprint(os.listdir())\n")
    assert tool("mpremote", "connect", board.url, "run", tmp_path / "run.py").strip() == "['a.txt']"
    tool("mpremote", "connect", board.url, "soft-reset")


def test_mpremote_works_on_the_pty_and_over_rfc2217(board):
    for address in (board.pty, board.rfc2217_url):
        assert tool("mpremote", "connect", address, "exec", "print(6 * 7)").strip() == "42"


def test_ampy_puts_runs_and_gets(board, tmp_path):
    (tmp_path / "a.py").write_text("print('ran', 6 * 7)\n")
    tool("ampy", "--port", board.pty, "put", tmp_path / "a.py")
    assert tool("ampy", "--port", board.pty, "get", "a.py").strip() == "print('ran', 6 * 7)"
    assert tool("ampy", "--port", board.pty, "run", tmp_path / "a.py").strip() == "ran 42"
    assert "/a.py" in tool("ampy", "--port", board.pty, "ls")


@pytest.mark.parametrize("name, size, told, end", [("esp8266", 0x400000, "4MB", signal.SIGINT), ("esp8266-2m", 0x200000, "2MB", signal.SIGTERM),
                                                        ("esp8266", 0x400000, "4MB", signal.SIGHUP)])  # fmt: skip
def test_mpota_emulate_runs_several_boards_of_the_size_named_and_prints_their_addresses(tmp_path, name, size, told, end):
    files = [tmp_path / "a.bin", tmp_path / "b.bin"]
    words = [VENV / "mpota", "emulate", name, *files, "--rom", BUILD / "rom" / "rom.elf"]
    (tmp_path / "t").mkdir()
    env = os.environ | {"PYTHONUNBUFFERED": "1", "TMPDIR": str(tmp_path / "t")}
    heeding = functools.partial(signal.signal, signal.SIGHUP, signal.SIG_DFL)
    with subprocess.Popen([*map(str, words)], cwd=REPO, stdout=subprocess.PIPE, text=True, env=env, preexec_fn=heeding) as process:
        try:
            said = [process.stdout.readline().split()[1] for _ in range(8)]
            assert said[0::4] == [str(path) for path in files] and len(set(said)) == 8
            for flash, url, rfc2217, pty in (said[:4], said[4:]):
                assert Path(flash).stat().st_size == size
                assert url.startswith("socket://") and Path(pty).is_char_device()
            assert told in tool("esptool", "--port", rfc2217, "--no-stub", "flash-id")
        finally:
            process.send_signal(end)
    assert process.returncode == 0 and not list((tmp_path / "t").iterdir())
