"""What an update over CoAP costs: live heap at its highest, and datagrams for each KiB, plain and over DTLS.

Measured on the linuxhost board, whose objects are twice the size of a 32-bit chip's. The board counts the CoAP
datagrams of the channel and of the download together; those of a DTLS handshake are not among them.
"""
# SPDX-License-Identifier: MIT

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from e2e.host import BUILD, ROOT, Server, build_firmware
from e2e.linuxboard import LinuxBoard

PRODUCT = "a1mpotabench"


def main():
    folder = BUILD / "bench-coap"
    shutil.rmtree(folder, ignore_errors=True)
    server = Server(folder / "server")
    for scheme in ("coap", "coaps"):
        server.add_device(PRODUCT, scheme, "secret")
    with server:
        options = {"CA": server.ca, "PRODUCT": PRODUCT, "APP": ROOT / "tests" / "apps" / "bench_coap"}
        image, second_boot = build_firmware(folder / "1.0.0.img", "1.0.0", **options)
        update = build_firmware(folder / "1.1.0.img", "1.1.0", **options)[0]
        for scheme in ("coap", "coaps"):
            measure(server, scheme, folder, (image, second_boot, update))


def measure(server, scheme, folder, files):
    image, second_boot, update = files
    with LinuxBoard(second_boot, folder / scheme, image) as board:
        board.type(f"ota server {scheme}://127.0.0.1:{server.address[f'{scheme}_port']}")
        board.type(f"ota download {'coap' if scheme == 'coap' else 'https'}")
        board.type(f"OTA_APP {PRODUCT} {scheme} secret unused")
        board.expect("confirmed 1.0.0")
        server.publish(update, BUILD / "keys" / "digest.pem", f"{PRODUCT}/{scheme}", "--url-scheme", scheme)
        found = board.expect(r"bench: coap (\d+) (\d+) (\d+) (\d+)", timeout_s=120)
        board.expect("confirmed 1.1.0")
    base, peak, sent, received = map(int, found.groups())
    kib = update.stat().st_size / 1024
    print(f"linuxhost  {scheme}: heap before the service {base} bytes, at its highest in an update {peak}: {peak - base} more (64-bit objects)")
    print(f"linuxhost  {scheme}: {sent + received} datagrams for {kib:.0f} KiB, {(sent + received) / kib:.3f} a KiB; the ideal is 2")


if __name__ == "__main__":
    main()
