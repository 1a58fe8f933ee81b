"""What an update costs the board: live heap at its highest, and the fetch as a ratio to reading the same socket.

Measured on the linuxhost board, whose objects are twice the size of a 32-bit chip's.
"""
# SPDX-License-Identifier: MIT

import shutil
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from e2e.host import BUILD, ROOT, Server, build_firmware
from e2e.linuxboard import LinuxBoard

PRODUCT, DEVICE = "a1mpotabench", "bench-1"


def main():
    folder = BUILD / "bench"
    shutil.rmtree(folder, ignore_errors=True)
    server = Server(folder / "server")
    server.add_device(PRODUCT, DEVICE, "secret")
    with server:
        options = {"CA": server.ca, "PRODUCT": PRODUCT, "APP": ROOT / "tests" / "apps" / "bench"}
        image, second_boot = build_firmware(folder / "1.0.0.img", "1.0.0", **options)
        updates = [build_firmware(folder / f"{version}.img", version, **options)[0] for version in ("1.1.0", "1.2.0")]
        with LinuxBoard(second_boot, folder / "board", image) as board:
            board.type(f"ota server {server.address['host']}:{server.address['mqtts_port']}")
            board.type(f"OTA_APP {PRODUCT} {DEVICE} secret unused")
            board.expect("confirmed 1.0.0")
            server.publish(updates[0], BUILD / "keys" / "digest.pem", f"{PRODUCT}/{DEVICE}")
            times = [int(us) for us in board.expect(r"bench: times (.*)", timeout_s=300)[1].split()]
            board.expect("confirmed 1.1.0", timeout_s=120)
            server.publish(updates[1], BUILD / "keys" / "digest.pem", f"{PRODUCT}/{DEVICE}")
            board.expect("confirmed 1.2.0", timeout_s=120)
        base, peak = (max(column) for column in zip(*heap(board.log)))
    size = updates[0].stat().st_size
    ratios = [fetch / read for read, fetch in zip(times[::2], times[1::2])]
    print(f"linuxhost  heap before the service {base} bytes, at its highest in an update over MQTTS and HTTPS {peak}: {peak - base} more (64-bit objects)")
    print(f"linuxhost  fetch of {size} bytes with erasing, writing and marking: {statistics.median(ratios):.2f} times reading "
          f"the same socket (median of {len(ratios)} pairs, {min(ratios):.2f} to {max(ratios):.2f})")


def heap(log):
    return [tuple(map(int, line.split()[2:])) for line in log if line.startswith("bench: heap")]


if __name__ == "__main__":
    main()
