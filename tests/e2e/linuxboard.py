"""A linuxhost board for tests and the demo: its flash file, its second boot, and what it prints."""
# SPDX-License-Identifier: MIT

import os
import re
import signal
import subprocess
import threading
import time
import zlib
from pathlib import Path


SECTOR = 0x1000


class Console:
    """What a board says, line by line, and what its flash file holds. A board has `flash`, the path of that file."""

    def __init__(self, on_line):
        self.log = []
        self._on_line = on_line
        self._seen = 0

    def heard(self, raw):
        """Takes one line that the board said."""
        line = raw.decode(errors="replace").rstrip()
        while line.startswith("# "):
            line = line[2:]
        self.log.append(line)
        if self._on_line:
            self._on_line(line)

    def expect(self, pattern, timeout_s=30):
        """Waits for a line that matches, after the last one that was expected; returns the match."""
        end = time.monotonic() + timeout_s
        while True:
            while self._seen < len(self.log):
                found = re.search(pattern, self.log[self._seen])
                self._seen += 1
                if found:
                    return found
            if time.monotonic() > end:
                raise AssertionError(f"the board never said {pattern!r}:\n" + "\n".join(self.log[-40:]))
            time.sleep(0.01)

    def forget(self):
        """What was said so far."""
        self.log.clear()
        self._seen = 0

    def marks(self, slot):
        """The kinds of the marks in a slot's trailer, in order (SPEC.md section 2). slot: an Area."""
        with self.flash.open("rb") as flash:
            flash.seek(slot.end - SECTOR)
            trailer = flash.read(SECTOR)
        places = (trailer[i : i + 16] for i in range(0, SECTOR, 16))
        return "".join(chr(p[0]) for p in places if zlib.crc32(p[:12]).to_bytes(4, "little") == p[12:])

    def wait_for_marks(self, slot, pattern, timeout_s=30):
        """Waits until all of the trailer's kinds match."""
        end = time.monotonic() + timeout_s
        while not re.fullmatch(pattern, self.marks(slot)):
            if time.monotonic() > end:
                raise AssertionError(f"no marks {pattern} but {self.marks(slot)}")


class LinuxBoard(Console):
    """second_boot: the program. folder: the board's own; image: what an esptool would have flashed into slot A."""

    def __init__(self, second_boot, folder, image, flash_size=0x400000, on_line=None):
        super().__init__(on_line)
        self.folder = Path(folder)
        self.flash = self.folder / "flash.bin"
        self._second_boot = str(second_boot)
        self._process = None
        self.folder.mkdir(parents=True, exist_ok=True)
        data = Path(image).read_bytes()
        self.flash.write_bytes(data + b"\xff" * (flash_size - len(data)))

    def start(self):
        self._process = subprocess.Popen(
            [self._second_boot, self.flash.name],
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        return self

    def _read(self, stream):
        for raw in stream:
            self.heard(raw)

    def type(self, line):
        """Types one line at the prompt."""
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def hang_up(self):
        """Standard input is at its end, as a service's is."""
        self._process.stdin.close()

    def interrupt(self):
        """What Ctrl-C at a terminal does: a signal to second boot and image alike."""
        os.killpg(self._process.pid, signal.SIGINT)

    def cut(self):
        """Power is lost: nothing of the process gets another instruction."""
        self._process.kill()
        self._process.wait()
        self._reader.join(5)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.cut()
