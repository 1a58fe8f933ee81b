"""What an update over CoAP costs: live heap at its highest, and datagrams for each KiB; on the Linux board plain and over DTLS, on
the emulated ESP8266 plain, with an image of 600 KiB.

The Linux board counts the CoAP datagrams of channel and download together, without those of a DTLS handshake; its objects are
twice the size of a 32-bit chip's. Before the ESP8266 a relay counts, and the heap is measured as in esp8266.py.
"""
# SPDX-License-Identifier: MIT

import random
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import esp8266 as chip
from e2e.air import Air
from e2e.espboard import EspBoard
from e2e.host import BUILD, ROOT, Server, build_firmware
from e2e.linuxboard import LinuxBoard
from mpota import board as boards

PRODUCT = "a1mpotabench"
BEHIND = "127.0.0.4"
SIZE = 600 * 1024


def linuxhost(folder):
    server = Server(folder / "server")
    for scheme in ("coap", "coaps"):
        server.add_device(PRODUCT, scheme, "secret")
    with server:
        options = {"CA": server.ca, "PRODUCT": PRODUCT, "APP": ROOT / "tests" / "apps" / "bench_coap"}
        image, second_boot = build_firmware(folder / "1.0.0.img", "1.0.0", **options)
        update = build_firmware(folder / "1.1.0.img", "1.1.0", **options)[0]
        for scheme in ("coap", "coaps"):
            measure_linuxhost(server, scheme, folder, (image, second_boot, update))


def measure_linuxhost(server, scheme, folder, files):
    image, second_boot, update = files
    with LinuxBoard(second_boot, folder / scheme, image) as board:
        board.type(f"ota server {scheme}://127.0.0.1:{server.address[f'{scheme}_port']}")
        board.type(f"ota download {'coap' if scheme == 'coap' else 'https'}")
        board.type(f"OTA_APP {PRODUCT} {scheme} secret unused")
        board.expect("confirmed 1.0.0", timeout_s=120)
        server.publish(update, BUILD / "keys" / "digest.pem", f"{PRODUCT}/{scheme}", "--url-scheme", scheme)
        found = board.expect(r"bench: coap (\d+) (\d+) (\d+) (\d+)", timeout_s=300)
        board.expect("confirmed 1.1.0", timeout_s=120)
    base, peak, sent, received = map(int, found.groups())
    print(f"linuxhost  heap before the service {base} bytes, at its highest in an update over {scheme} {peak}: {peak - base} more (64-bit objects)")
    tell_datagrams("linuxhost", scheme, sent + received, update)


def tell_datagrams(board, scheme, count, image):
    kib = image.stat().st_size / 1024
    print(f"{board:10} {scheme}: {count} datagrams for {kib:.0f} KiB, {count / kib:.3f} a KiB; the ideal is 2")


def padded_app(folder):
    """The measuring application, with so much constant data that the image has SIZE bytes."""
    source = (ROOT / "tests" / "apps" / "bench_esp8266" / "main.py").read_text()
    bare = build_firmware(folder / "bare.img", "1.0.0", "esp8266", APP=ROOT / "tests" / "apps" / "bench_esp8266", PRODUCT=PRODUCT)[0]
    data = random.Random(1).randbytes(SIZE - bare.stat().st_size)
    app = folder / "app"
    app.mkdir()
    (app / "main.py").write_text(f"{source}\nDATA = {data!r}\n")
    return app


def esp8266(folder):
    server = Server(folder / "server", "--bind", BEHIND, "--host", "10.0.2.2")
    server.add_device(PRODUCT, "chip", "secret")
    options = {"PRODUCT": PRODUCT, "APP": padded_app(folder)}
    image, update = (build_firmware(folder / f"{version}.img", version, "esp8266", **options)[0] for version in ("1.0.0", "1.1.0"))
    board = EspBoard(BUILD / "esp8266", folder / "board", image)
    with server, board.flash_at_once(boards.load("esp8266").slots[0]):
        port = server.address["coap_port"]
        air = Air(("127.0.0.1", port), (BEHIND, port))
        board.expect("bench: base", 60)
        for line in ("netmgr connect mpota mpota-secret", f"ota server coap://10.0.2.2:{port}", "ota download coap", f"OTA_APP {PRODUCT} chip secret unused"):
            board.type(line)
        board.expect("confirmed 1.0.0", 300)
        before = air.noise.counts["passed"]
        server.publish(update, BUILD / "keys" / "digest.pem", f"{PRODUCT}/chip", "--url-scheme", "coap")
        notified = int(board.expect(r"bench: heap notified (\d+)", 300)[1])
        updating = int(board.expect(r"bench: heap updating (\d+)", 900)[1])
        count = air.noise.counts["passed"] - before
        board.expect(r"confirmed 1\.1\.0$", 300)
        air.close()
    chip.tell_heap(f"an image of {update.stat().st_size // 1024} KiB over CoAP alone", notified, updating)
    tell_datagrams("esp8266", "coap", count, update)


def main():
    folder = BUILD / "bench-coap"
    shutil.rmtree(folder, ignore_errors=True)
    for what in (linuxhost, esp8266):
        (folder / what.__name__).mkdir(parents=True)
        what(folder / what.__name__)


if __name__ == "__main__":
    main()
