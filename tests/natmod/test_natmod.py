"""The native module decodes and refuses on stock MicroPythons: Linux, and a Cortex-M4, a RISC-V and a windowed Xtensa under QEMU."""
# SPDX-License-Identifier: MIT

import contextlib
import os
import re
import shutil
import subprocess
import tty

import pytest
from mpremote.romfs import VfsRomWriter
from mpremote.transport_serial import SerialTransport

from natmod import case

SERIAL = ("-display", "none", "-monitor", "none", "-semihosting", "-serial", "pty", "-kernel")
QEMU = {
    "m4f": ("qemu-system-arm", "-M", "mps2-an386", *SERIAL),
    "rv32": ("qemu-system-riscv32", "-M", "virt", "-bios", "none", *SERIAL),
    "xtensawin": ("qemu-xtensa", "-cpu", "dc232b"),
}
ARCHS = {"armv6m": "m4f", "armv7m": "m4f", "armv7emsp": "m4f", "rv32imc": "rv32", "xtensawin": "xtensawin"}
OF_MPY = {"m4f": "7", "xtensawin": "10", "rv32": "11"}
PATIENT_S = 300


def test_module_decodes_on_linux(tmp_path):
    given, said = case.files("x64")
    for name, data in (given | {"ota_patch.mpy": case.module("x64"), "run.py": case.program().encode()}).items():
        (tmp_path / name).write_bytes(data)
    ran = subprocess.run([case.micropython("unix") / "micropython", "run.py"], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENT_S)
    assert (ran.stdout.splitlines(), ran.stderr) == (said, "")


class Machine:
    """A MicroPython under QEMU, its serial port a pty."""

    def __init__(self, name):
        command = [*QEMU[name], case.micropython(name) / "firmware.elf"]
        with contextlib.ExitStack() as opened:
            if SERIAL[-1] in command:
                self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
                port = re.search(r"redirected to (\S+)", self._process.stdout.readline())[1]
            else:  # a process, whose standard input and output are the other end
                process_end, our_end = os.openpty()
                opened.callback(os.close, process_end)
                opened.callback(os.close, our_end)
                tty.setraw(our_end)
                self._process = subprocess.Popen(command, stdin=process_end, stdout=process_end)
                port = os.ttyname(our_end)
            self._serial = SerialTransport(port, wait=PATIENT_S)
        self._serial.enter_raw_repl(timeout_overall=PATIENT_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._serial.close()
        with self._process:
            self._process.kill()

    def run(self, code):
        """What a block prints."""
        out, err = self._serial.exec_raw(code, timeout=PATIENT_S)
        assert err == b"", err.decode()
        return out.decode().splitlines()

    def mount(self, files):
        """Puts files into a file system in RAM and makes it the current folder."""
        writer = VfsRomWriter()
        for name in sorted(files):
            writer.mkfile(name, files[name])
        image = writer.finalise()
        self.run(f"import os, sys, vfs\nrom = bytearray({len(image)})")
        for at in range(0, len(image), 1024):
            part = image[at : at + 1024]
            self.run(f"rom[{at}:{at + len(part)}] = {part!r}")
        self.run("vfs.mount(vfs.VfsRom(rom), '/rom')\nos.chdir('/rom')\nsys.path.append('/rom')")


@pytest.mark.parametrize("arch", ARCHS)
def test_module_decodes_under_qemu(arch):
    machine = ARCHS[arch]
    if not shutil.which(QEMU[machine][0]):
        pytest.skip(f"{QEMU[machine][0]} is not installed")
    given, said = case.files(arch)
    with Machine(machine) as board:
        board.mount(given | {"ota_patch.mpy": case.module(arch)})
        assert board.run("import sys; print(sys.implementation._mpy >> 10)") == [OF_MPY[machine]]
        assert board.run(case.program()) == said
