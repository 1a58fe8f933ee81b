"""The native module on the emulated ESP8266: copied to its file system as a user does, run from IRAM."""
# SPDX-License-Identifier: MIT

from machine import SLOT_A, Board
from mpremote.transport_serial import SerialTransport

from natmod import case

PATIENT_S = 300


def test_native_module_decodes(tmp_path, second_boot, firmware):
    given, said = case.files("xtensa")
    with Board(tmp_path, {0: second_boot, SLOT_A: firmware}) as board:
        board.port.expect(">>> $", PATIENT_S)
        board.port.close()
        serial = SerialTransport(board.url)
        serial.enter_raw_repl(timeout_overall=PATIENT_S)
        for name, data in (given | {"ota_patch.mpy": case.module("xtensa"), "decode.py": case.program().encode()}).items():
            serial.fs_writefile(name, data, chunk_size=1024)
        out, err = serial.exec_raw("import decode", timeout=PATIENT_S)
        serial.close()
    assert (out.decode().splitlines(), err) == (said, b"")
