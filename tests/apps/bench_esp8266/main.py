"""Measures updates on the emulated ESP8266 from inside. With an even minor version: the heap's highest live use beyond what the
prompt takes; a collection goes before every allocation, so that nothing dead is counted. With an odd one: what the processor did."""

# SPDX-License-Identifier: MIT
import gc

import _emulator


def alive():
    gc.collect()
    _emulator.heap_peak()
    gc.collect()
    return _emulator.heap_peak()


base = alive()
import ota_config

import ota.service
from ota.hal.esp8266 import Board

prompt = alive()
from ota.shell import Shell

board = Board()
shell = Shell(board, ota_config, echo=True)
prompt = alive() - prompt
reset = board.reset
begun = None


def heap(what):
    print("bench: heap", what, _emulator.heap_peak() - base - prompt)


def tell_and_reset():
    if timing:
        print("bench: spent", *[now - before for now, before in zip(_emulator.spent(), begun)])
    else:
        heap("updating")
    reset()


board.reset = tell_and_reset
print("bench: base", base, "prompt", prompt)
shell.start()
while not shell.service:
    shell.poll()
service = shell.service
timing = int(service.ota_ver.split(".")[1]) & 1
if not timing:
    gc.threshold(1)
while True:
    shell.poll()
    if begun is None and service.updating:
        if not timing:
            heap("notified")
        begun = _emulator.spent()
