"""MicroPython on the emulated chip: its Python face, file system, network, and what survives a reset."""

import functools
import http.server
import re
import threading
import time

import otacore
import pytest
from machine import BOARD, SIZE, SLOT_A, SLOT_B, TRAILER, Board

PROMPT = ">>> $"


@pytest.fixture
def start(tmp_path, second_boot, firmware):
    boards = []

    def start(slot=SLOT_A, **settings):
        board = Board(tmp_path / str(len(boards)), {0: second_boot, slot: firmware}, access_point="lab", password="secret", **settings)
        boards.append(board)
        board.power_on()
        board.port.expect(PROMPT)
        return board

    yield start
    for board in boards:
        board.close()


def ask(board, line, timeout=10):
    """What the REPL prints for one line."""
    board.port.send(line + "\r")
    echo = re.escape(line)
    return board.port.expect(f"{echo}\r\n(.*?)\r?\n?>>> $", timeout).group(1).decode().strip()


def run(board, code, timeout=20):
    """Runs a block through the raw REPL; returns what it printed."""
    port = board.port
    port.send("\r\x01")
    port.expect("raw REPL; CTRL-B to exit\r\n>")
    port.send(code)
    port.send("\x04")
    said = port.expect("OK(.*?)\x04(.*?)\x04>", timeout)
    port.send("\x02")
    port.expect(PROMPT)
    assert said.group(2) == b"", said.group(2).decode()
    return said.group(1).decode()


def test_repl_answers_with_the_chips_heap_and_arithmetic(start):
    board = start()
    ask(board, "import gc, sys, math")
    free = int(ask(board, "gc.collect(); gc.mem_free()").splitlines()[-1])
    assert 35000 < free < 38 * 1024
    assert ask(board, "sys.platform") == "'esp8266'"
    assert ask(board, "1.5 * 3 + 2, 2**100, 7 // -2, math.sin(1), 1e10, 10 / 4") == "(6.5, 1267650600228229401496703205376, -4, 0.841471, 1e+10, 2.5)"
    assert "NotImplementedError" in ask(board, "pow(3, 4, 5)")
    assert ask(board, "import hashlib; hasattr(hashlib, 'md5'), hasattr(hashlib, 'sha256')") == "(False, True)"
    assert "ImportError" in ask(board, "import ssl")


@pytest.mark.parametrize("slot", [SLOT_A, SLOT_B])
def test_one_image_runs_from_either_slot(start, slot):
    board = start(slot)
    assert ask(board, "import machine; hex(machine.mem32[0x600013f8])") == repr(hex(slot))


def test_flash_functions_are_the_chips(start):
    board = start()
    ask(board, "import esp")
    facts = f"{SIZE}, {BOARD.filesystem.offset}, {0x1640EF}"
    assert ask(board, "esp.flash_size(), esp.flash_user_start(), esp.flash_id()") == f"({facts})"
    assert ask(board, "esp.flash_erase(0x300); esp.flash_read(0x300000, 4)") == r"b'\xff\xff\xff\xff'"
    ask(board, "esp.flash_write(0x300000, b'\\x0f' * 4); esp.flash_write(0x300000, b'\\x3c' * 4)")
    assert ask(board, "esp.flash_read(0x300000, 4)") == r"b'\x0c\x0c\x0c\x0c'"
    assert "ValueError: len must be multiple of 4" in ask(board, "esp.flash_write(0x300000, b'123')")
    assert "OSError: [Errno 5]" in ask(board, "esp.flash_read(0x400000, 4)")


def test_files_survive_soft_hard_and_power_reset(start):
    board = start()
    run(board, "with open('a.txt', 'w') as f: f.write('kept' * 1000)\nimport os; os.mkdir('d')\nopen('d/b', 'w').close()")
    board.port.send("\x04")
    board.port.expect("MPY: soft reboot.*" + PROMPT)
    check = "import os; print(len(open('a.txt').read()), sorted(os.listdir()), os.listdir('d'))"
    expected = "4000 ['a.txt', 'd'] ['b']"
    assert run(board, check).strip() == expected
    board.port.send("import machine; machine.reset()\r")
    board.port.expect("rst cause:.*" + PROMPT)
    assert run(board, check).strip() == expected
    board.power_off()
    board.power_on()
    board.port.expect("rst cause:1.*" + PROMPT)
    assert run(board, check).strip() == expected


def test_reset_causes_identity_and_rtc_memory(start):
    board = start(chip_id=0xABCDEF, watchdog_ms=500)
    ask(board, "import machine")
    assert ask(board, "machine.reset_cause() == machine.PWRON_RESET, machine.unique_id()") == r"(True, b'\xef\xcd\xab\x00')"
    ask(board, "r = machine.RTC(); r.memory(b'hello' * 95)")
    assert "ValueError" in ask(board, "r.memory(b'x' * 477)")
    board.port.send("machine.reset()\r")
    board.port.expect("rst cause:1.*" + PROMPT)
    assert ask(board, "import machine; machine.reset_cause() == machine.SOFT_RESET, machine.RTC().memory() == b'hello' * 95") == "(True, True)"
    ask(board, "w = machine.WDT()")
    board.port.send("while True: pass\r\r")
    board.port.expect("rst cause:4.*" + PROMPT)
    assert ask(board, "import machine; machine.reset_cause() == machine.WDT_RESET") == "True"
    board.reset()
    board.port.expect("rst cause:2.*" + PROMPT)
    assert ask(board, "import machine; machine.reset_cause() == machine.HARD_RESET") == "True"


def test_busy_python_is_fed_and_can_be_interrupted(start):
    board = start(watchdog_ms=300)
    board.port.send("while True: pass\r\r")
    time.sleep(1)
    board.port.send("\x03")
    board.port.expect("KeyboardInterrupt.*" + PROMPT)


def test_crash_restarts_with_its_cause(start):
    board = start()
    board.port.send("import machine; machine.mem32[0x3ff00024]\r")
    board.port.expect("Fatal exception \\(15\\).*" + PROMPT)
    assert ask(board, "import machine; machine.reset_cause()") == "2"


def test_native_code_runs(start):
    board = start()
    assert run(board, "@micropython.native\ndef f(n):\n    s = 0\n    for i in range(n): s += i\n    return s\nprint(f(1000))").strip() == "499500"
    assert run(board, "@micropython.viper\ndef g(n: int) -> int:\n    s = 0\n    for i in range(n): s += i\n    return s\nprint(g(1000))").strip() == "499500"


CONNECT = """
import network, time
w = network.WLAN(network.STA_IF)
w.active(True)
w.connect(%r, %r)
end = time.ticks_add(time.ticks_ms(), 5000)
while w.status() == network.STAT_CONNECTING and time.ticks_diff(end, time.ticks_ms()) > 0:
    time.sleep_ms(20)
print(w.status(), w.isconnected(), w.ifconfig()[0])
"""


def test_wrong_password_and_unknown_name_have_their_status(start):
    board = start()
    assert run(board, CONNECT % ("lab", "wrong")).strip() == "2 False 0.0.0.0"
    assert run(board, CONNECT % ("nowhere", "secret")).strip() == "3 False 0.0.0.0"
    assert run(board, CONNECT % ("lab", "secret")).strip() == "5 True 10.0.2.15"
    assert "(b'lab', " in run(board, "print(w.scan())")
    assert run(board, "w.disconnect(); print(w.status(), w.isconnected())").strip() == "0 False"


def test_access_point_out_of_reach_then_back(start):
    board = start()
    board.set_in_reach(False)
    assert run(board, "import network; w = network.WLAN(0); w.active(True); print(w.scan())").strip() == "[]"
    assert run(board, CONNECT % ("lab", "secret")).strip() == "3 False 0.0.0.0"
    board.set_in_reach(True)
    wait = "\nwhile not w.isconnected(): time.sleep_ms(20)\nprint(w.status())"
    assert run(board, wait).strip() == "5"


class Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path):
    """An HTTP server with a file `data` of 200,000 bytes; 10.0.2.2 from the board."""
    (tmp_path / "data").write_bytes(bytes(range(250)) * 800)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=tmp_path)) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield httpd.server_address[1]
        httpd.shutdown()


DOWNLOAD = """
import socket, hashlib
def get(port, pause=0):
    s = socket.socket()
    s.settimeout(5)
    s.connect(('10.0.2.2', port))
    s.write(b'GET /data HTTP/1.0\\r\\n\\r\\n')
    while s.readline() != b'\\r\\n':
        pass
    h, n, b = hashlib.sha256(), 0, bytearray(512)
    v = memoryview(b)
    while 1:
        k = s.readinto(b)
        if not k:
            break
        h.update(v[:k])
        n += k
        time.sleep_ms(pause)
    s.close()
    return n, h.digest()
"""


def test_http_download_is_complete_and_right(start, server):
    import hashlib
    board = start()
    run(board, CONNECT % ("lab", "secret"))
    run(board, DOWNLOAD)
    expected = (200000, hashlib.sha256(bytes(range(250)) * 800).digest())
    for _ in range(3):
        assert eval(run(board, f"print(get({server}))")) == expected


def test_access_point_lost_in_mid_download_is_an_error_and_comes_back(start, server):
    board = start()
    run(board, CONNECT % ("lab", "secret"))
    run(board, DOWNLOAD)
    threading.Timer(1.0, board.set_in_reach, [False]).start()
    said = run(board, f"try:\n    print(get({server}, 20))\nexcept OSError as e: print('lost', w.isconnected())")
    assert said.strip() == "lost False"
    board.set_in_reach(True)
    assert run(board, f"while not w.isconnected(): time.sleep_ms(20)\nprint(get({server})[0])").strip() == "200000"


def test_two_boards_run_at_once(start):
    first, second = start(chip_id=1), start(chip_id=2)
    assert first.url != second.url and first.pty != second.pty
    assert ask(first, "import machine; machine.unique_id()[0]") == "1"
    assert ask(second, "import machine; machine.unique_id()[0]") == "2"


def test_firmware_trial_carries_its_number(start, tmp_path, second_boot, firmware):
    mark = otacore.mark("C", number=1, tail=(7).to_bytes(4, "little") + b"\0\0") * 2
    trailer = SLOT_A + TRAILER
    with Board(tmp_path / "trial", {0: second_boot, SLOT_A: firmware, trailer: mark}) as board:
        board.port.expect(PROMPT)
        assert ask(board, "import machine; hex(machine.mem32[0x600013f4])") == "'0x1020100'"
