"""Stands for `os`: randomness that is the same in every run of a life."""

# SPDX-License-Identifier: MIT
import random

from _starve import outside


@outside
def urandom(n):
    return bytes(random.getrandbits(8) for _ in range(n))
