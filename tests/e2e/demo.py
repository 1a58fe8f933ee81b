"""`make demo`: a board's first year in two minutes, with real processes. Status 0 only if all of it was seen.

    demo.py [esp8266|linuxhost]
"""
# SPDX-License-Identifier: MIT

import fcntl
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from e2e.espboard import EspBoard
from e2e.host import BUILD, MPOTA, ROOT, Server, build_firmware, run
from e2e.linuxboard import LinuxBoard
from mpota import board as boards
from mpota.cli.common import print_table
from rich.console import Console
from rich.markup import escape

PRODUCT, DEVICE, SECRET = "a1mpotademo", "lamp-1", "a-device-secret"
NAME = f"{PRODUCT}/{DEVICE}"
FOLDER = BUILD / "demo"
KEYS = BUILD / "keys"
HANG = '''"""An application that hangs as soon as it starts."""
print("1.2 hangs")
while True:
    pass
'''

console = Console(highlight=False)
seen = []


class LinuxDemo:
    """The board in a Linux process: MQTT over TLS, HTTPS."""

    name = "linuxhost"
    serve_options = ()
    publish_options = ()
    payload = BUILD / "linuxhost" / "micropython" / "firmware"

    def build(self, out, version, app, ca):
        image, self._second_boot = build_firmware(out, version, APP=app, PRODUCT=PRODUCT, CA=ca)
        return image

    def board(self, image):
        return LinuxBoard(self._second_boot, FOLDER / "board", image, on_line=tell)

    def broker(self, address):
        return f"{address['host']}:{address['mqtts_port']}"


class EspDemo:
    """The emulated chip, which has no TLS: MQTT and HTTP, the signatures carry the trust. It sees us at 10.0.2.2."""

    name = "esp8266"
    serve_options = ("--host", "10.0.2.2")
    publish_options = ("--url-scheme", "http")
    payload = BUILD / "esp8266" / "firmware.bin"

    def build(self, out, version, app, ca):
        return build_firmware(out, version, "esp8266", APP=app, PRODUCT=PRODUCT)[0]

    def board(self, image):
        board = EspBoard(BUILD / "esp8266", FOLDER / "board", image, on_line=tell)
        console.print("  esptool writes it through the emulated serial port, as fast as that is: a minute or two")
        wrote = [line for line in board.flash_with_esptool().splitlines() if line.startswith("Wrote")]
        note("1.0 flashed with esptool", "; ".join(wrote))
        return board

    def broker(self, address):
        return f"{address['host']}:{address['mqtt_port']}"


def chapter(title):
    console.rule(f"[bold]{title}", align="left")


def note(what, evidence):
    seen.append((what, evidence))
    console.print(f"[green]seen[/green] {what}: {evidence}")


def tell(line):
    if line:
        console.print(f"  [dim]board|[/dim] {escape(line)}")


def app(version):
    """An application folder whose program differs from every other version's."""
    folder = FOLDER / f"otaapp-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    source = (ROOT / "otaapp" / "main.py").read_text()
    (folder / "main.py").write_text(HANG if version == "1.2.0" else source.replace('"otaapp"', f'"otaapp {version[:3]}"'))
    return folder


def build(demo, version, ca):
    start = time.monotonic()
    image = demo.build(FOLDER / f"{version}.img", version, app(version), ca)
    console.print(f"  {image.name}: {image.stat().st_size} bytes, built and signed in {time.monotonic() - start:.0f} s")
    return image


class Publisher:
    """`mpota publish` to our one device, its output on this terminal."""

    def __init__(self, demo, server):
        self._options = ("--device", NAME, "--state", server.folder, *demo.publish_options)

    def start(self, image, *options, key=KEYS / "digest.pem"):
        words = (MPOTA, "publish", image, "--key", key, *self._options, *options)
        return subprocess.Popen([str(word) for word in words], cwd=ROOT)

    def wait(self, image, *options, key=KEYS / "digest.pem"):
        """With a progress bar, until the outcome is known; 0 if the board was updated."""
        return self.start(image, *options, "--wait", "--timeout", "60", key=key).wait()


def first_update(publisher, server, board, images):
    chapter("1.1 is published as a patch: notify, fetch, install, verify, trial, confirm")
    options = ("--image-key", KEYS / "image.pem", "--base", images["1.0.0"])
    assert publisher.wait(images["1.1.0"], *options) == 0, "1.1 was not installed"
    size = int(board.expect(r"update to 1.1.0, (\d+) bytes")[1])
    assert size < images["1.1.0"].stat().st_size / 2, "1.1 did not come as a patch"
    note("1.1 came as a patch", f"{size} bytes instead of {images['1.1.0'].stat().st_size}")
    board.expect("otaapp 1.1")
    note("update to 1.1", board.expect("confirmed 1.1.0")[0])


def hanging_update(publisher, server, board, images):
    chapter("1.2 hangs: three trials under the watchdog, then back")
    start = time.monotonic()
    assert publisher.wait(images["1.2.0"]) != 0, "1.2 was installed"
    for _ in range(3):
        board.expect("1.2 hangs")
    board.expect("otaapp 1.1")
    status = server.status(NAME)
    assert status["version"] == "1.1.0" and "1090" in status["desc"], status
    note("1.2 rolled back after 3 trials", f"{status['desc']}, {time.monotonic() - start:.0f} s")


def foreign_update(publisher, server, board, images):
    chapter("1.3 is signed with a foreign key: refused before a byte is fetched")
    assert publisher.wait(images["1.3.0"], key=FOLDER / "foreign.pem") != 0, "1.3 was installed"
    note("1.3 refused", board.expect(r"refused: digestsign is wrong \(1025\)")[0])


def interrupted_update(publisher, server, board, images):
    chapter("1.4: power is cut in mid-download; the fetch resumes from its mark")
    slot = boards.load("linuxhost" if isinstance(board, LinuxBoard) else "esp8266").slots[0]
    with publisher.start(images["1.4.0"]):
        board.wait_for_marks(slot, "SSP{5,60}")
        board.cut()
    console.print(f"  the board was switched off; its trailer reads {board.marks(slot)}")
    board.start()
    offset = int(board.expect(r"fetch resumes at (\d+)")[1])
    assert offset > 0, "the fetch began again"
    board.expect("otaapp 1.4")
    size = images["1.4.0"].stat().st_size
    note("1.4 resumed", f"at byte {offset} of {size}, {board.expect('confirmed 1.4.0')[0]}")


def make_images(demo, ca):
    """1.0 to 1.4; 1.3 is a good program under a foreign signature."""
    images = {version: build(demo, version, ca) for version in ("1.0.0", "1.1.0", "1.2.0", "1.4.0")}
    run(MPOTA, "key", "new", FOLDER / "foreign.pem")
    images["1.3.0"] = FOLDER / "1.3.0.img"
    run(MPOTA, "image", "build", demo.payload, images["1.3.0"], "--board", demo.name, "--product", PRODUCT,
        "--version", "1.3.0", "--counter", "1", "--key", FOLDER / "foreign.pem")  # fmt: skip
    return images


def main(demo):
    shutil.rmtree(FOLDER, ignore_errors=True)
    chapter(f"{demo.name}: a server, a device, firmware 1.0 to 1.4")
    server = Server(FOLDER / "server", *demo.serve_options)
    server.add_device(PRODUCT, DEVICE, SECRET)
    with server:
        images = make_images(demo, server.ca)
        publisher = Publisher(demo, server)
        with demo.board(images["1.0.0"]) as board:
            chapter("1.0 starts; three lines are typed at its prompt")
            board.expect("otaapp 1.0")
            board.type("netmgr connect mpota mpota-secret")
            board.type(f"ota server {demo.broker(server.address)}")
            board.type(f"OTA_APP {PRODUCT} {DEVICE} {SECRET} unused")
            note("1.0 informs the server", board.expect("confirmed 1.0.0")[0])
            for step in (first_update, hanging_update, foreign_update, interrupted_update):
                step(publisher, server, board, images)
    print_table(("what", "seen"), seen, "what happened")


if __name__ == "__main__":
    name = "".join(sys.argv[1:]) or EspDemo.name
    demos = {demo.name: demo for demo in (EspDemo, LinuxDemo)}
    if name not in demos:
        sys.exit(f"demo: {name}: no demo of this board; there is {', '.join(demos)}")
    lock = open(BUILD / "demo.lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"demo: another one runs in {BUILD}")
    try:
        main(demos[name]())
    except AssertionError as error:
        sys.exit(f"demo: not seen: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
