"""What an update costs the emulated ESP8266: heap, processor and flash, each beside its budget.

The heap is measured in the firmware, which looks at what is alive before every allocation (tests/apps/bench_esp8266).
Instructions are counted by QEMU, without those that model the flash chip and without waiting for the network. The flash is a model: so many
operations by the typical times below.
"""
# SPDX-License-Identifier: MIT

import shutil
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from e2e.espboard import EspBoard
from e2e.host import BUILD, MPOTA, ROOT, Server, build_firmware, run
from mpota import board as boards

PRODUCT, DEVICE = "a1mpotabench", "bench-1"
FOLDER = BUILD / "bench" / "esp8266"
KEYS = BUILD / "keys"
SECTOR_MS, BLOCK_MS, PAGE_MS, READ_BYTES_PER_MS = 45, 150, 0.7, 8000
COMMAND_BYTES, PAGE_BYTES, SECTORS_PER_BLOCK = 32, 256, 16
INSTRUCTIONS_PER_MS = 80_000
HEAP_BUDGET, DECODER_BUDGET, TIME_BUDGET = 14 * 1024, 16 * 1024, 25


class Chip:
    """The counters of boards/emulator/nor.h in the state file."""

    def __init__(self, path):
        data = path.read_bytes()
        self.programs, self.erases = struct.unpack_from("<II", data, 24)
        self.sectors = sum(struct.unpack("<4096I", data[-4 * 4096 :]))

    def ms_since(self, before):
        """What the operations since then take."""
        erases, sectors = self.erases - before.erases, self.sectors - before.sectors
        blocks = (sectors - erases) // (SECTORS_PER_BLOCK - 1)
        programs = (self.programs - before.programs) * PAGE_MS * COMMAND_BYTES / PAGE_BYTES
        return blocks * BLOCK_MS + (erases - blocks) * SECTOR_MS + programs, blocks, erases - blocks


def verdict(value, budget):
    return f"budget {budget}: {'met' if value <= budget else 'missed'}"


def payload(changed):
    """The program, and one whose application was changed a little."""
    app = FOLDER / "app"
    app.mkdir(parents=True, exist_ok=True)
    source = (ROOT / "tests" / "apps" / "bench_esp8266" / "main.py").read_text()
    (app / "main.py").write_text(source + "print('unreachable')\n" * changed)
    build_firmware(FOLDER / "any.img", "1.0.0", "esp8266", APP=app, PRODUCT=PRODUCT)
    out = FOLDER / f"payload-{changed}"
    shutil.copy(BUILD / "esp8266" / "firmware.bin", out)
    return out


def images():
    """1.0 to 1.4; 1.3 has another program."""
    payloads = payload(1), payload(0)
    for minor in range(5):
        out = FOLDER / f"1.{minor}.0.img"
        run(MPOTA, "image", "build", payloads[minor != 3], out, "--board", "esp8266", "--product", PRODUCT,
            "--version", f"1.{minor}.0", "--counter", "1", "--key", KEYS / "image.pem")  # fmt: skip
        yield out


def updates(server, board, made):
    """Installs one after the other; the last two as patches. Yields (heap, spent, chip before, chip after)."""
    for number, image in enumerate(made[1:], 1):
        options = ("--image-key", KEYS / "image.pem", "--base", made[number - 1]) if number > 2 else ()
        before = Chip(board.state)
        server.publish(image, KEYS / "digest.pem", f"{PRODUCT}/{DEVICE}", "--url-scheme", "http", *options)
        if number % 2:
            notified = int(board.expect(r"bench: heap notified (\d+)", 300)[1])
            yield notified, int(board.expect(r"bench: heap updating (\d+)", 300)[1])
        else:
            spent = [int(n) for n in board.expect(r"bench: spent (\d+) (\d+) (\d+)", 300).groups()]
            yield spent, before, Chip(board.state)
        board.expect(rf"confirmed 1\.{number}\.0$", 300)


def tell_heap(what, notified, updating, decoder_budget=0):
    print(f"esp8266  heap alive at most, service and connections, {what}: {notified} when notified, {verdict(notified, HEAP_BUDGET)}; "
          f"{updating} after, {verdict(updating, HEAP_BUDGET + decoder_budget)}")


def tell_time(what, size, spent, before, after):
    total, waiting, modelling = spent
    instructions = (total - waiting - modelling) * 1000
    must, blocks, sectors = after.ms_since(before)
    more = instructions / INSTRUCTIONS_PER_MS
    print(f"esp8266  {what} of {size} bytes: {instructions / 1e6:.1f} M instructions, {more:.0f} ms at 80 MHz; flash {must:.0f} ms "
          f"({blocks} blocks and {sectors} sectors erased); {100 * more / must:.0f} % beyond the flash; {verdict(100 * more / must, TIME_BUDGET)}")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    server = Server(FOLDER / "server", "--host", "10.0.2.2")
    server.add_device(PRODUCT, DEVICE, "secret")
    made = list(images())
    state = FOLDER / "nor.state"
    board = EspBoard(BUILD / "esp8266", FOLDER / "board", made[0], state=state, icount="shift=0")
    board.state = state
    with server, board.flash_at_once(boards.load("esp8266").slots[0]):
        board.expect("bench: base")
        for line in ("netmgr connect mpota mpota-secret", f"ota server 10.0.2.2:{server.address['mqtt_port']}", f"OTA_APP {PRODUCT} {DEVICE} secret unused"):
            board.type(line)
        board.expect("confirmed 1.0.0", 300)
        image_heap, image_time, patch_heap, patch_time = updates(server, board, made)
    tell_heap("an image over MQTT and HTTP", *image_heap)
    tell_heap("a patch, its decoder included", *patch_heap, DECODER_BUDGET)
    tell_time("image", made[2].stat().st_size, *image_time)
    tell_time("patch to an image", made[4].stat().st_size, *patch_time)


if __name__ == "__main__":
    main()
