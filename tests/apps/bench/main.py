"""Measures updates from inside. As 1.0 it times the fetch and reading the same socket in turn, later it collects garbage at every
poll and keeps the highest live heap."""

# SPDX-License-Identifier: MIT
import gc
import time

import ota_config

from ota import channel
from ota.hal.linuxhost import Board
from ota.shell import Shell
from ota.slot import IMAGE
from ota.update import Update

ROUNDS = 9
base = peak = 0


def measure():
    global peak
    gc.collect()
    peak = max(peak, gc.mem_alloc())


def us(action, notice):
    gc.collect()
    start = time.ticks_us()
    action(notice)
    return time.ticks_diff(time.ticks_us(), start)


def read(notice):
    """The artifact once, from the socket into nowhere."""
    part = bytearray(2048)
    source = channel.source(shell.service, board, ota_config, notice, part)
    source.open(0)
    left = notice.size
    while left > 0:
        left -= source.readinto(part, min(left, len(part)))
    source.close()


def fetch(notice):
    """The same into the slot, as an update does it."""
    service = shell.service
    slot = service._inactive
    source = channel.source(service, board, ota_config, notice, service._buf)
    slot.begin(IMAGE, notice.size, notice.digest)
    for _ in Update(notice, source, service._active, slot, None, service._buf, 0, lambda done, total: None)._fetch():
        board.feed()


def compare(notice):
    """In turn, so that whatever else the computer does meets both; then the update begins."""
    if shell.service.ota_ver == "1.0.0":
        print("bench: times", *[us(action, notice) for _ in range(ROUNDS) for action in (read, fetch)])
    return True


board = Board()
shell = Shell(board, ota_config, echo=False)
measure()
base = peak
shell.start()
while True:
    busy = shell.poll()
    if not shell.service:
        continue
    shell.service.accept_cb = compare
    if busy and shell.service.ota_ver != "1.0.0":
        before = peak
        measure()
        if peak > before:
            print("bench: heap", base, peak)
