"""An emulated ESP8266 for tests and the demo, with the face of LinuxBoard: typed at over its serial port."""
# SPDX-License-Identifier: MIT

import re
import socket
import threading
import time
from pathlib import Path

from e2e.host import MPOTA, run
from e2e.linuxboard import Console
from mpota import emulate


class EspBoard(Console):
    """build: where `make otaapp@esp8266` put rom and second boot; folder: the board's own; image: for slot A; size: of the
    flash, which is blank."""

    def __init__(self, build, folder, image, on_line=None, size=0x400000, **settings):
        super().__init__(on_line)
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.flash = folder / "flash.bin"
        self._build, self._image = Path(build), image
        self._size = size
        emulate.blank(self.flash, size)
        self.machine = emulate.Emulator(emulate.Settings(rom=self._build / "rom" / "rom.elf", flash=self.flash, size=size, **settings))

    def start(self):
        """Power on; the serial port is listened to from the first byte."""
        self._stopping = False
        host, port = re.fullmatch(r"socket://(.*):(\d+)", self.machine.url).groups()
        self._socket = socket.create_connection((host, int(port)))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.machine.power_on()
        return self

    def flash_with_esptool(self):
        """`mpota flash`: the real esptool, through the reset lines, into the ROM's loader."""
        self.machine.power_on()
        said = run(MPOTA, "flash", "--board", "esp8266", "--port", self.machine.rfc2217_url,
                   "--second-boot", self._build / "second_boot.bin", self._image)  # fmt: skip
        self.machine.power_off()
        return said

    def flash_at_once(self, slot):
        """What esptool would have left: second boot, and the image in `slot`, an Area."""
        parts = {0: (self._build / "second_boot.bin").read_bytes(), slot.offset: self._image.read_bytes()}
        emulate.blank(self.flash, self._size, parts)
        return self

    def expect(self, pattern, timeout_s=30):
        """As any board's, and it is told at once if the machine has stopped."""
        end = time.monotonic() + timeout_s
        while True:
            self.machine.check()
            try:
                return super().expect(pattern, 1)
            except AssertionError:
                if time.monotonic() > end:
                    raise

    def type(self, line):
        """Types one line at the prompt."""
        self._socket.sendall(line.encode() + b"\r")

    def cut(self):
        """Power is lost."""
        self.machine.power_off()
        self._stopping = True
        self._socket.close()
        self._reader.join(5)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.cut()
        self.machine.close()

    def _read(self):
        self._socket.settimeout(0.2)
        line = b""
        while not self._stopping:
            try:
                data = self._socket.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                return
            for byte in data:
                if byte in b"\r\n":
                    if line:
                        self.heard(line)
                    line = b""
                else:
                    line += bytes([byte])
