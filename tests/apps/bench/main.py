"""Measures updates from inside. As 1.0 it times the fetch against reading the same socket, later it collects
garbage at every poll and keeps the highest live heap."""

# SPDX-License-Identifier: MIT
import gc
import time

import ota_config

from ota.download.http import Source
from ota.hal.linuxhost import Board
from ota.shell import Shell

base = peak = begun = 0


def measure():
    global peak
    gc.collect()
    peak = max(peak, gc.mem_alloc())


def read_only(notice):
    """The artifact once, from the socket into nowhere; then the update begins."""
    global begun
    if not timing():
        return True
    source = Source(notice.url, notice.size)
    part = bytearray(512)
    start = time.ticks_us()
    source.open(0)
    left = notice.size
    while left > 0:
        left -= source.readinto(part)
    source.close()
    begun = time.ticks_us()
    print("bench: read", time.ticks_diff(begun, start))
    return True


def progress(done, total):
    if done == total and timing():
        print("bench: fetch", time.ticks_diff(time.ticks_us(), begun))


def timing():
    return shell.service.ota_ver == "1.0.0"


shell = Shell(Board(), ota_config, echo=False)
measure()
base = peak
shell.start()
while True:
    busy = shell.poll()
    if not shell.service:
        continue
    shell.service.accept_cb, shell.service.progress_cb = read_only, progress
    if busy and not timing():
        before = peak
        measure()
        if peak > before:
            print("bench: heap", base, peak)
