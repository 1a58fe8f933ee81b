"""The sample application for one of many boards on a computer: it leaves the processor to the others. A copy of it is built beside `pace.py`."""

# SPDX-License-Identifier: MIT
import time

import ota_config
import pace

from ota.hal.linuxhost import Board
from ota.shell import Shell

shell = Shell(Board(), ota_config, echo=False)
shell.start()
while True:
    time.sleep(pace.BUSY_S if shell.poll() else pace.IDLE_S)  # sleep_ms of this port wakes all the time
