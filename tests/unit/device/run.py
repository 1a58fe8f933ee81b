"""Runs one file of tests on MicroPython: micropython run.py ROOT NAME. The interpreter gives `_ota`, umqtt and
urequests; `ota` comes from the source tree, compiled as firmware is (assertions deleted)."""

# SPDX-License-Identifier: MIT
import os
import sys

import micropython

root, name = sys.argv[1:]
here = root + "/tests/unit/device"
sys.path[:] = [here, root, ".frozen"]


def compile_package():
    micropython.opt_level(3)
    for folder in ("", "download", "transport", "verify"):
        for file in sorted(os.listdir(root + "/ota/" + folder)):
            if file.endswith(".py") and not file.startswith("__"):
                __import__(("ota." + folder + "." + file[:-3]).replace("..", "."))
    micropython.opt_level(0)


def run():
    module = __import__(name)
    passed = failed = 0
    for test in sorted(dir(module)):
        if not test.startswith("test_"):
            continue
        try:
            getattr(module, test)()
            passed += 1
        except Exception as e:
            print("FAILED", test)
            sys.print_exception(e)
            failed += 1
    print("%d passed, %d failed" % (passed, failed))
    return failed or not passed


compile_package()
sys.exit(1 if run() else 0)
