"""The sample application's prompt, except that a trial waits for `ota confirm` or `ota rollback`."""

# SPDX-License-Identifier: MIT
import time

import ota_config

from ota.hal.linuxhost import Board
from ota.shell import Shell

print("manual: started")
shell = Shell(Board(), ota_config, echo=False)
shell.start()
if shell.service:
    shell.service.auto_confirm = False
while True:
    if not shell.poll():
        time.sleep_ms(20)
