"""MicroPython's name for struct."""
# SPDX-License-Identifier: MIT

from struct import *  # noqa: F403
