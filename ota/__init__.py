"""Firmware updates over the air. `ota.service` is the door."""

# SPDX-License-Identifier: MIT


def forget(*names):
    """Unloads modules that are needed now and then: even a frozen one takes memory, 24 bytes for each function. Who
    calls this has let go of everything in them."""
    import sys

    for name in names:
        sys.modules.pop("ota." + name, None)
        globals().pop(name, None)
