"""MicroPython's name for binascii."""
# SPDX-License-Identifier: MIT

from binascii import *  # noqa: F403
