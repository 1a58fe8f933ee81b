"""Measures an update on the emulated ESP8266 from inside: the heap's highest live use, step by step. A collection goes
before every allocation, so nothing dead is counted."""

# SPDX-License-Identifier: MIT
import gc

import _emulator

gc.collect()
_emulator.heap_peak()
gc.collect()
base = _emulator.heap_peak()
gc.threshold(1)

import ota_config

from ota.hal.esp8266 import Board
from ota.shell import Shell


def told(what):
    print("bench: heap", what, _emulator.heap_peak() - base)


shell = Shell(Board(), ota_config, echo=True)
shell.start()
told("start")
updating = False
steps = 0
while True:
    busy = shell.poll()
    steps += 1
    if busy != updating or steps % 200 == 0:
        told("update" if updating else "idle")
        updating = busy
