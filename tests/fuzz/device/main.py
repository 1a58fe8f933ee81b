"""Runs a Python target under libFuzzer: main.py NAME ARGUMENTS. A target is fuzz_NAME.one(data); what it raises is a find."""

# SPDX-License-Identifier: MIT
import sys

import clock

sys.modules["time"] = clock
import builtins

import _fuzz

builtins.print = lambda *args: None
_fuzz.run(__import__("fuzz_" + sys.argv[1]).one, sys.argv[2:])
