"""Stands for `time`: a clock that the campaign moves, so that a life is the same in every run."""

# SPDX-License-Identifier: MIT
_now = 0
_PERIOD = 1 << 30


def ticks_ms():
    global _now
    _now += 1
    return _now & (_PERIOD - 1)


def ticks_add(ticks, delta):
    return (ticks + delta) & (_PERIOD - 1)


def ticks_diff(a, b):
    return ((a - b + _PERIOD // 2) & (_PERIOD - 1)) - _PERIOD // 2


def sleep_ms(ms):
    global _now
    _now += ms
