"""The sample application: a prompt, and the update service once `OTA_APP` was typed."""

# SPDX-License-Identifier: MIT
import sys
import time

import ota_config

from ota.shell import Shell

GREETING = "otaapp"


def board():
    name = ota_config.BOARD.split("-")[0]  # without the variant
    return __import__("ota.hal." + name, None, None, ("Board",)).Board()


def main(board):
    print(GREETING)
    shell = Shell(board, ota_config, echo=sys.platform != "linux")
    shell.start()
    while True:
        if not shell.poll():
            time.sleep_ms(20)


def run():
    there = board()
    try:
        main(there)
    except KeyboardInterrupt:
        print("\nleft to Python")
    except Exception as e:  # nobody is there to type at a prompt
        sys.print_exception(e)
        there.reset()


run()
