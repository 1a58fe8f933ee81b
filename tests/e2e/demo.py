"""`make demo`: a board's first year in two minutes, with real processes. Status 0 only if all of it was seen."""
# SPDX-License-Identifier: MIT

import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from e2e.host import BUILD, MPOTA, ROOT, Server, build_firmware, run
from e2e.linuxboard import LinuxBoard
from rich.console import Console
from rich.table import Table

PRODUCT, DEVICE, SECRET = "a1mpotademo", "lamp-1", "a-device-secret"
NAME = f"{PRODUCT}/{DEVICE}"
FOLDER = BUILD / "demo"
KEYS = BUILD / "keys"
SLOT_A = (0x000000, 0x180000)
HANG = '''"""An application that hangs as soon as it starts."""
print("1.2 hangs")
while True:
    pass
'''

console = Console(highlight=False)
seen = []


def chapter(title):
    console.rule(f"[bold]{title}", align="left")


def note(what, evidence):
    seen.append((what, evidence))
    console.print(f"[green]seen[/green] {what}: {evidence}")


def app(version):
    """An application folder whose program differs from every other version's."""
    folder = FOLDER / f"otaapp-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    source = (ROOT / "otaapp" / "main.py").read_text()
    (folder / "main.py").write_text(HANG if version == "1.2.0" else source.replace('"otaapp"', f'"otaapp {version[:3]}"'))
    return folder


def build(version, ca):
    start = time.monotonic()
    image, second_boot = build_firmware(FOLDER / f"{version}.img", version, APP=app(version), CA=ca, PRODUCT=PRODUCT)
    console.print(f"  {image.name}: {image.stat().st_size} bytes, built and signed in {time.monotonic() - start:.0f} s")
    return image, second_boot


def start_publish(server, image, *options):
    """`mpota publish`, its output on this terminal."""
    words = (MPOTA, "publish", image, "--key", KEYS / "digest.pem", "--device", NAME, "--state", server.folder, *options)
    return subprocess.Popen([str(word) for word in words], cwd=ROOT)


def publish(server, image):
    """The same with a progress bar, until the outcome is known; 0 if the board was updated."""
    return start_publish(server, image, "--wait", "--timeout", "60").wait()


def first_update(server, board, images):
    chapter("1.1 is published: notify, fetch, verify, trial, confirm")
    assert publish(server, images["1.1.0"]) == 0
    board.expect("otaapp 1.1")
    note("update to 1.1", board.expect("confirmed 1.1.0")[0])


def hanging_update(server, board, images):
    chapter("1.2 hangs: three trials under the watchdog, then back")
    start = time.monotonic()
    assert publish(server, images["1.2.0"]) != 0
    for trial in (1, 2, 3):
        board.expect(f"trial {trial} of 3")
        board.expect("1.2 hangs")
    board.expect("slot B, confirmed")
    note("1.2 rolled back after 3 trials", f"{server.status(NAME)['desc']}, {time.monotonic() - start:.0f} s")
    assert server.status(NAME)["version"] == "1.1.0"


def foreign_update(server, board, images):
    chapter("1.3 is signed with a foreign key: refused before a byte is fetched")
    run(MPOTA, "key", "new", FOLDER / "foreign.pem")
    run(MPOTA, "image", "build", BUILD / "linuxhost/micropython/firmware", FOLDER / "1.3.0.img", "--board", "linuxhost",
        "--product", PRODUCT, "--version", "1.3.0", "--counter", "1", "--key", FOLDER / "foreign.pem")
    server.publish(FOLDER / "1.3.0.img", FOLDER / "foreign.pem", NAME)
    note("1.3 refused", board.expect(r"refused: digestsign is wrong \(1025\)")[0])


def interrupted_update(server, board, images):
    chapter("1.4: power is cut in mid-download; the fetch resumes from its mark")
    with start_publish(server, images["1.4.0"]):
        board.wait_for_marks(SLOT_A, "SSP{30,60}")
        board.cut()
    console.print(f"  the board's process was killed; its trailer reads {board.marks(SLOT_A)}")
    board.start()
    offset = int(board.expect(r"fetch resumes at (\d+)")[1])
    assert offset > 0
    board.expect("otaapp 1.4")
    size = images["1.4.0"].stat().st_size
    note("1.4 resumed", f"at byte {offset} of {size}, {board.expect('confirmed 1.4.0')[0]}")


def tell(line):
    if line:
        console.print(f"  [dim]board|[/dim] {line}", markup=True)


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    chapter("the server starts, a board is made known, firmware 1.0 to 1.4 is built and signed")
    server = Server(FOLDER / "server")
    server.add_device(PRODUCT, DEVICE, SECRET)
    with server:
        made = {version: build(version, server.ca) for version in ("1.0.0", "1.1.0", "1.2.0", "1.4.0")}
        images = {version: image for version, (image, _) in made.items()}
        second_boot = made["1.0.0"][1]
        board = LinuxBoard(second_boot, FOLDER / "board", images["1.0.0"], on_line=tell)
        with board:
            chapter("1.0 starts; three lines are typed at its prompt")
            board.type(f"ota server {server.address['host']}:{server.address['mqtts_port']}")
            board.type("netmgr connect demo-network demo-password")
            board.type(f"OTA_APP {PRODUCT} {DEVICE} {SECRET} unused")
            note("1.0 informs the server", board.expect("confirmed 1.0.0")[0])
            for step in (first_update, hanging_update, foreign_update, interrupted_update):
                step(server, board, images)
    table = Table("what", "seen", title="what happened")
    for row in seen:
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    try:
        main()
    except AssertionError as error:
        sys.exit(f"demo: not seen: {error}")
