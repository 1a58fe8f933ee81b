"""The ESP8266, on silicon or emulated: `esp` is the flash, `network` the radio, and the second boot left word in
RTC memory of which slot it started (SPEC.md section 6)."""

# SPDX-License-Identifier: MIT
import _esp8266
import esp
import machine
import network
import ota_config
from micropython import const

from ota.hal.flash import Flash

_HANDOVER = const(0x600013F0)
_MAGIC = const(0x544F504D)
_TRIAL = const(0xFF00)


class Board:
    """What the service needs of a board; PORTING.md lists the members."""

    has_tls = False
    patch_state = 8192

    def __init__(self):
        self.flash = Flash(esp, ota_config.FLASH_SIZE, ota_config.SECTOR, ota_config.BLOCK, _esp8266.erase_block)
        self.slots = ota_config.SLOTS
        self.parameters = ota_config.PARAMETERS
        self.active = _handover() & 1
        self._watchdog = watch_trial()
        self._station = network.WLAN(network.STA_IF)

    def feed(self, blocking=False):
        """Restarts the watchdog. blocking: what is called next may take longer than it; until the next feed(), for half a minute at
        most, it is the system's, which feeds it while it waits."""
        if self._watchdog:
            _esp8266.watch(not blocking)
            self._watchdog.feed()

    def reset(self):
        """Restarts the board; does not return."""
        machine.reset()

    def network_connect(self, ssid, password):
        self._station.active(True)
        self._station.connect(ssid, password)

    def network_status(self):
        """Returns (up, words)."""
        if self._station.isconnected():
            return True, "Got ip : %s, mask : %s, gw : %s" % self._station.ifconfig()[:3]
        status = self._station.status()
        if status == network.STAT_WRONG_PASSWORD:
            return False, "wrong password"
        if status == network.STAT_NO_AP_FOUND:
            return False, "no such access point"
        return False, "connecting" if status == network.STAT_CONNECTING else "not connected"


def watch_trial():
    """In a trial, takes over the watchdog, which MicroPython otherwise feeds by itself even in a loop without end.
    Returns the WDT, or None."""
    return machine.WDT() if _handover() & _TRIAL else None


def _handover():
    """The word that says slot, trial and how; OSError if the second boot did not leave one."""
    words = [machine.mem32[_HANDOVER + i] & 0xFFFFFFFF for i in range(0, 16, 4)]
    if words[0] != _MAGIC or words[0] ^ words[1] ^ words[2] ^ words[3] != 0xFFFFFFFF:
        raise OSError(1003)
    return words[1]
