"""Starts an emulated ESP8266: QEMU, the flash file, the serial port, the access point's reach."""

import contextlib
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from mpota import child, storage
from mpota.errors import ToolError
from mpota.romloader import RomLoader
from mpota.serialhub import SerialHub

# How the machine ends (boards/emulator/machine.h).
EXIT_POWER_CUT, EXIT_MISUSE, EXIT_SETTINGS = 10, 11, 12

_QEMU = "qemu-system-xtensa"
_START_SECONDS = 10
_XTENSA = b"\x5e\0"
# The ROM's tick counter and the watchdog's control register (boards/emulator/rom/rom.h, machine.h).
_TICKS, _WATCHDOG = 0x50000000, 0x60000900
_LOOK_SECONDS = 0.5
_STALL_SECONDS = 5.0


class EmulatorError(RuntimeError):
    """QEMU did not start, or ended when it should not."""


@dataclass(frozen=True)
class Settings:
    """One board. The machine itself reads flash, size, strict, cut, kind, seed, watchdog and state; the firmware
    ap, key, id and control."""

    rom: Path
    flash: Path
    size: int = 0x400000
    access_point: str = "mpota"
    password: str = "mpota-secret"
    chip_id: int = 0x123456
    strict: bool = False
    watchdog_ms: int = 0
    cut_at: int = 0
    cut_kind: int = 0
    cut_seed: int = 0
    state: Path | None = None
    icount: str = ""  # QEMU's option: exact counts, at some speed
    host_forward: tuple[str, ...] = field(default=())


def blank(path: Path, size: int, parts: dict[int, bytes] | None = None) -> None:
    """A flash file: erased, with `parts` at their offsets."""
    data = bytearray(b"\xff" * size)
    for offset, part in (parts or {}).items():
        if offset + len(part) > size:
            raise EmulatorError(f"{len(part)} bytes at {offset:#x} do not fit")
        data[offset : offset + len(part)] = part
    storage.write(path, data)


def check_rom(path: Path) -> None:
    """Refuses what is no program for the emulated processor."""
    head = storage.read(path)[:20]
    if head[:7] != b"\x7fELF\x01\x01\x01" or head[18:] != _XTENSA:
        raise ToolError(path, "not a mask ROM, which is an ELF file for Xtensa")


@contextlib.contextmanager
def flash_file(path: Path, size: int):
    """While the context lasts, no other board has this flash file. A blank one is made if there is none."""
    if not path.exists():
        storage.write_new(path, b"\xff" * size)  # of two emulators that start at once, one makes it
    with open(path, "r+b", buffering=0) as file:
        found = os.fstat(file.fileno()).st_size
        if found != size:
            raise ToolError(path, f"{found} bytes, while the board's flash has {size}")
        if not storage.lock(file):
            raise ToolError(path, "another emulator runs on this flash")
        yield


class Emulator:
    """A board that runs until closed. Use as a context manager."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._folder = tempfile.TemporaryDirectory(prefix="mpota-")
        self._control = Path(self._folder.name, "control")
        self._control.write_bytes(b"1")
        self._process: subprocess.Popen[bytes] | None = None
        self._qmp: socket.socket | None = None
        self._qmp_lock = threading.Lock()
        self._qmp_input = b""
        self._off = threading.Event()
        self._downloading = False
        self._hub = SerialHub(self._reset_by_lines)

    def __enter__(self) -> "Emulator":
        self.power_on()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The serial port for mpremote and other pyserial programs: socket://."""
        return self._hub.url

    @property
    def rfc2217_url(self) -> str:
        """The serial port with modem lines, for esptool."""
        return self._hub.rfc2217_url

    @property
    def pty(self) -> str:
        """The serial port as a device, for ampy and terminals."""
        return self._hub.pty

    def power_on(self) -> None:
        if self._process is not None:
            raise EmulatorError("already on")
        self._hub.set_loader(None)
        self._downloading = False
        with self._server("serial") as serial, self._server("qmp") as qmp:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                preexec_fn=child.die_with_parent(),
            )  # fmt: skip
            try:
                uart, self._qmp = serial.accept()[0], qmp.accept()[0]
            except TimeoutError:
                message = self.power_off() or "no answer"
                raise EmulatorError(f"{_QEMU}: {message}") from None
        self._hub.attach(uart)
        self._qmp.settimeout(_START_SECONDS)
        self._qmp_input = b""
        self._read_qmp()
        self._qmp_command("qmp_capabilities")
        self._go()
        self._off = threading.Event()
        threading.Thread(target=self._watch, args=(self._off,), daemon=True).start()

    def _go(self) -> None:
        """Lets the machine run. A short program may stop it before QEMU has answered; wait() then tells how it ended."""
        assert self._process is not None
        try:
            self._qmp_command("cont")
        except EmulatorError:
            try:
                self._process.wait(_START_SECONDS)
            except subprocess.TimeoutExpired:
                raise EmulatorError(f"{_QEMU}: no answer") from None

    def power_off(self) -> str:
        """Ends QEMU at once, as pulling the plug does. Returns what it said."""
        self._off.set()
        process, self._process = self._process, None
        if self._qmp is not None:
            self._qmp.close()
            self._qmp = None
        if process is None:
            return ""
        process.kill()
        _, said = process.communicate()
        return said.decode(errors="replace").strip()

    def wait(self, timeout: float) -> tuple[int, str]:
        """Waits for the machine to stop itself: exit status and last words."""
        if self._process is None:
            raise EmulatorError("not on")
        try:
            _, said = self._process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise EmulatorError(f"still running after {timeout} s") from None
        self._off.set()
        status = self._process.returncode
        self._process = None
        if self._qmp is not None:
            self._qmp.close()
            self._qmp = None
        return status, said.decode(errors="replace").strip()

    def check(self) -> None:
        """EmulatorError if the machine has stopped itself."""
        if self._process is not None and self._process.poll() is not None:
            status, words = self.wait(1)
            raise EmulatorError(": ".join([f"stopped with status {status}", *words.splitlines()[-1:]]))

    def reset(self) -> None:
        """The reset button."""
        self._reset(False)

    def download(self) -> None:
        """The reset button with the flash button held: the ROM's download mode, for tools without modem lines."""
        self._reset(True)

    def set_in_reach(self, in_reach: bool) -> None:
        """Whether the access point answers; may change while the board runs."""
        self._control.write_bytes(b"1" if in_reach else b"0")

    def close(self) -> None:
        self.power_off()
        self._hub.close()
        self._folder.cleanup()

    def _reset_by_lines(self, download: bool) -> None:
        with contextlib.suppress(EmulatorError):  # a board without power does not mind
            self._reset(download)

    def _reset(self, download: bool) -> None:
        """Reset with GPIO0 low enters the ROM's download mode: the processor stands still and we answer for it."""
        if self._process is None:
            return
        self._downloading = download
        if download:
            self._qmp_command("stop")
            self._hub.set_loader(RomLoader(self.settings.flash, self.settings.chip_id).push)
        else:
            self._hub.set_loader(None)
            self._qmp_command("system_reset")
            self._qmp_command("cont")

    def _word(self, address: int) -> int:
        said = self._qmp_command("human-monitor-command", {"command-line": f"xp /1wx {address:#x}"})
        return int(str(said).split(":")[1], 16)

    def _watch(self, off: threading.Event) -> None:
        """Bites for the watchdog when a program has masked the interrupt that stands in for its hardware."""
        stall = self.settings.watchdog_ms / 1000 or _STALL_SECONDS
        ticks, since = -1, time.monotonic()
        while not off.wait(_LOOK_SECONDS):
            try:
                now, on = self._word(_TICKS), self._word(_WATCHDOG) & 1
                if now != ticks or not on or self._downloading:
                    ticks, since = now, time.monotonic()
                elif time.monotonic() - since > stall:
                    self._qmp_command("system_reset")
            except (EmulatorError, OSError, IndexError, ValueError):
                return  # the machine is off

    @contextlib.contextmanager
    def _server(self, name: str):
        with socket.socket(socket.AF_UNIX) as server:
            path = Path(self._folder.name, name)
            path.unlink(missing_ok=True)
            server.bind(str(path))
            server.listen(1)
            server.settimeout(_START_SECONDS)
            yield server

    def _words(self) -> list[str]:
        s = self.settings
        words = {
            "flash": s.flash, "size": s.size, "strict": int(s.strict), "watchdog": s.watchdog_ms, "cut": s.cut_at,
            "kind": s.cut_kind, "seed": s.cut_seed, "ap": s.access_point, "key": s.password, "id": f"{s.chip_id:06x}",
            "control": self._control,
        }
        if s.state is not None:
            words["state"] = s.state
        return [f"{name}={value}" for name, value in words.items()]

    def _command(self) -> list[str]:
        folder = self._folder.name
        arguments = "".join(f",arg={word.replace(',', ',,')}" for word in self._words())
        forwards = "".join(f",hostfwd={f}" for f in self.settings.host_forward)
        command = [
            _QEMU, "-M", "lx60-nommu", "-cpu", "lx106", "-display", "none", "-S",
            "-chardev", f"socket,id=uart,path={folder}/serial", "-serial", "chardev:uart",
            "-chardev", f"socket,id=qmp,path={folder}/qmp", "-mon", "chardev=qmp,mode=control",
            "-nic", f"user,model=open_eth{forwards}",
            "-semihosting-config", f"enable=on,target=native,arg=rom{arguments}",
            "-device", f"loader,file={self.settings.rom},cpu-num=0",
        ]
        word_only = self.settings.rom.with_name("wordonly.so")
        if word_only.exists():
            command += ["-plugin", f"file={word_only}"]
        return command + (["-icount", self.settings.icount] if self.settings.icount else [])

    def _read_qmp(self) -> dict:
        if self._qmp is None:
            raise EmulatorError("not on")  # the machine has ended while its watcher asked
        while b"\n" not in self._qmp_input:
            data = self._qmp.recv(4096)
            if not data:
                raise EmulatorError("QEMU has ended")
            self._qmp_input += data
        line, self._qmp_input = self._qmp_input.split(b"\n", 1)
        return json.loads(line)

    def _qmp_command(self, name: str, arguments: dict | None = None) -> object:
        with self._qmp_lock:
            if self._qmp is None:
                raise EmulatorError("not on")
            try:
                self._qmp.sendall(json.dumps({"execute": name, "arguments": arguments or {}}).encode() + b"\n")
                while True:
                    answer = self._read_qmp()
                    if "return" in answer:
                        return answer["return"]
                    if "error" in answer:
                        raise EmulatorError(f"{name}: {answer['error'].get('desc')}")
            except OSError as e:
                raise EmulatorError(f"QEMU does not answer: {e}") from e
