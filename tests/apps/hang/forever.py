"""Beside main.py."""


# SPDX-License-Identifier: MIT
def run():
    while True:
        pass
