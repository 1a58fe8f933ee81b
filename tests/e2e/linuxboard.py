"""A linuxhost board for tests and the demo: its flash file, its second boot, and what it prints."""
# SPDX-License-Identifier: MIT

import re
import subprocess
import threading
import time
from pathlib import Path


class LinuxBoard:
    """second_boot: the program. folder: the board's own; image: what an esptool would have flashed into slot A."""

    def __init__(self, second_boot, folder, image, flash_size=0x400000, on_line=None):
        self.folder = Path(folder)
        self.flash = self.folder / "flash.bin"
        self.log = []
        self._second_boot = str(second_boot)
        self._on_line = on_line
        self._process = None
        self._seen = 0
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
        )
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        return self

    def _read(self, stream):
        for raw in stream:
            line = raw.decode(errors="replace").rstrip()
            while line.startswith("# "):
                line = line[2:]
            self.log.append(line)
            if self._on_line:
                self._on_line(line)

    def type(self, line):
        """Types one line at the prompt."""
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

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

    def cut(self):
        """Power is lost: nothing of the process gets another instruction."""
        self._process.kill()
        self._process.wait()
        self._reader.join(5)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.cut()
