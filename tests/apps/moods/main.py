"""The sample application, whose version's last number says how it behaves: one program for many images of the ESP8266."""

# SPDX-License-Identifier: MIT
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
WELL, HANGS, CRASHES, STARVES, GREEDY, LOST, LENDS = range(7)

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

hoard = None


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
    try:
        busy = shell.poll()
    except MemoryError:
        hoard = ()
        print("moods: out of memory, and over it")
        shell.service.check()
        busy = True
    if not busy:
        time.sleep_ms(20)
