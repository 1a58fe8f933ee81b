"""mpota emulate."""
# SPDX-License-Identifier: MIT

import contextlib
import signal
import threading
from pathlib import Path

import click

from mpota import board as boards
from mpota import emulate as emulate_
from mpota.cli.common import PATH, print_facts
from mpota.errors import ToolError

LOOK_S = 0.5
ROM = "build/esp8266/rom/rom.elf"


@click.command()
@click.argument("name", metavar="BOARD")
@click.argument("flash", nargs=-1, required=True, type=PATH)
@click.option("--rom", default=ROM, show_default=True, type=PATH, help="The mask ROM that the build made.")
@click.option("--ap", default="mpota", show_default=True, help="Name of the access point in reach.")
@click.option("--ap-password", default="mpota-secret", show_default=True)
@click.option("--boards", "folder", envvar="MPOTA_BOARDS", type=PATH, help="Folder of the boards, or MPOTA_BOARDS.")
def emulate(name, flash, rom, ap, ap_password, folder):
    """Runs one emulated BOARD for each FLASH file until it is interrupted; a file that is missing is a blank flash.

    A board's serial port has three addresses: socket for mpremote's commands, rfc2217 for esptool, pty for terminals, mpremote's prompt and ampy."""
    board = boards.load(name, folder)
    if board.chip != "esp8266":
        raise ToolError(name, "this board is not emulated")
    if not Path(rom).exists():
        raise ToolError(rom, f"no mask ROM; make otaapp@{board.name} builds it")
    emulate_.check_rom(Path(rom))
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as nohup asks
            signal.signal(number, lambda *_: ended.set())
    with contextlib.ExitStack() as stack:
        running = {}
        for i, path in enumerate(map(Path, flash)):
            stack.enter_context(emulate_.flash_file(path, board.flash_size))
            settings = emulate_.Settings(
                rom=Path(rom), flash=path, size=board.flash_size, access_point=ap, password=ap_password, chip_id=0x123456 + i
            )
            with _faults_of(path):
                machine = running[path] = stack.enter_context(emulate_.Emulator(settings))
            print_facts({"flash": path, "socket": machine.url, "rfc2217": machine.rfc2217_url, "pty": machine.pty})
        while not ended.wait(LOOK_S):
            for path, machine in running.items():
                with _faults_of(path):
                    machine.check()


@contextlib.contextmanager
def _faults_of(path):
    try:
        yield
    except emulate_.EmulatorError as error:
        raise ToolError(path, str(error)) from error
