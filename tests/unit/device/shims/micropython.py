"""MicroPython's module of that name, for CPython."""
# SPDX-License-Identifier: MIT


def const(value):
    return value


def heap_lock():
    """CPython has no such thing; what runs under it is then only run."""


def heap_unlock():
    pass
