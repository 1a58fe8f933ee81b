"""Runs the device's unit tests on the emulated chip: a file's name comes over the serial port, the outcome goes back, the board
restarts. A test that wants more memory than the chip has is told apart."""

# SPDX-License-Identifier: MIT
import gc
import sys

import machine
import os as real_os
from ota import install
from ota.service import OtaService


class Os:
    """The tests' `os`: there is no environment."""

    remove, rename, urandom = real_os.remove, real_os.rename, real_os.urandom

    @staticmethod
    def getenv(name):
        return ""


class TooLarge(Exception):
    """As MemoryError, but nobody takes it for an update's fault."""


def room(n):
    try:
        return bytearray(n)
    except MemoryError:
        raise TooLarge


def refuse(self, e, refuse=OtaService._refuse):
    if isinstance(e, MemoryError) and e.args:  # those that tests raise have none
        raise TooLarge
    return refuse(self, e)


def outcome(test):
    try:
        test()
        return "passed"
    except (MemoryError, TooLarge):
        return "too large"
    except Exception as e:
        sys.print_exception(e)
        return "failed"


print("units: ready")
name = input()
print()
sys.modules["os"] = Os
install.bytearray, OtaService._refuse = room, refuse
module = __import__(name)
for test in sorted(dir(module)):
    if test.startswith("test_"):
        gc.collect()
        print("units:", test, outcome(getattr(module, test)))
print("units: end")
machine.reset()
