"""The sample application, whose version's last number says how it behaves: one program for many images of the ESP8266."""

# SPDX-License-Identifier: MIT
import gc
import time

import _esp8266
import esp
import machine
import network
import ota_config

from ota.hal.esp8266 import Board
from ota.shell import Shell

_SLOT = 0x600013F8
_REVISION = 22  # where the image's header has the version's last number
_NOBODY = "10.0.2.77"
_ROOM = 19000  # bytes that HOARDS leaves: an update with an image takes 14,300, one with a patch 22,900
WELL, HANGS, CRASHES, STARVES, GREEDY, LOST, LENDS, HOARDS = range(8)

mood = esp.flash_read(machine.mem32[_SLOT], 32)[_REVISION]
print("moods:", mood)
if mood == HANGS:
    machine.disable_irq()
    while True:
        pass
if mood == CRASHES:
    machine.mem32[0x3FF00024]
if mood == LENDS:
    machine.WDT()
    _esp8266.watch(False)
    print("moods: lent")
while mood in (STARVES, LENDS):
    time.sleep_ms(100)  # alive, but nobody feeds the watchdog

gc.collect()
hoard = bytearray(gc.mem_free() - _ROOM) if mood == HOARDS else None


def take_everything(done, total):
    """Leaves the service without memory once a quarter is fetched, until it has failed."""
    global hoard
    if hoard is not None or done < total // 4:
        return
    for size in (1024, 256, 64, 16):
        try:
            while True:
                hoard = [hoard, bytearray(size)]
        except MemoryError:
            pass
    print("moods: nothing left")


def lose_names(station):
    """The network's DNS server falls silent."""
    if station.isconnected() and station.ifconfig()[3] != _NOBODY:
        station.ifconfig(station.ifconfig()[:3] + (_NOBODY,))


shell = Shell(Board(), ota_config, echo=True)
shell.start()
while True:
    if mood == GREEDY and shell.service:
        shell.service.progress_cb = take_everything
    if mood == LOST:
        lose_names(network.WLAN(network.STA_IF))
    busy = shell.poll()
    if mood == GREEDY and hoard and shell.service.last_error == 1062:
        hoard = ()
        print("moods: over it")
        shell.service.check()
    if not busy:
        time.sleep_ms(20)
