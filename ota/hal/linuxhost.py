"""The board in a Linux process: flash in a file, the second boot as its parent, a network that is always up."""

# SPDX-License-Identifier: MIT
import _linuxhost
import ota_config

from ota.hal.flash import Flash


class Board:
    """What the service needs of a board; PORTING.md lists the members."""

    has_tls = ota_config.CA is not None
    patch_state = 16384

    def __init__(self):
        self.flash = Flash(_linuxhost, ota_config.FLASH_SIZE, ota_config.SECTOR)
        self.slots = ota_config.SLOTS
        self.parameters = ota_config.PARAMETERS
        self.active = _linuxhost.slot()

    def feed(self, blocking=False):
        """Restarts the watchdog. blocking: what is called next may take longer than it, and has a minute."""
        _linuxhost.feed(blocking)

    def reset(self):
        """Restarts the board; does not return."""
        _linuxhost.reset()

    def network_connect(self, ssid, password):
        """The host's network is always up."""

    def network_status(self):
        """Returns (up, words)."""
        return True, "host network"
