"""Measures an update over CoAP from inside: collects garbage at every poll and keeps the highest live heap."""

# SPDX-License-Identifier: MIT
import gc

import ota_config

from ota.hal.linuxhost import Board
from ota.shell import Shell
from ota.transport.coap_link import Link

base = peak = 0


def measure():
    global peak
    gc.collect()
    peak = max(peak, gc.mem_alloc())


def progress(done, total):
    if done == total:
        print("bench: coap", base, peak, Link.sent, Link.received)


shell = Shell(Board(), ota_config, echo=False)
measure()
base = peak
shell.start()
while True:
    busy = shell.poll()
    if shell.service:
        shell.service.progress_cb = progress
    if busy:
        measure()
