"""Firmware updates over the air. `ota.service` is the door."""

# SPDX-License-Identifier: MIT

TROUBLE = (OSError, MemoryError)  # one for all: to make it where it is caught wants memory


def forget(*names):
    """Unloads modules that are needed now and then: even a frozen one takes memory, 24 bytes for each function. Who
    calls this has let go of everything in them."""
    import sys

    for name in sys.modules:  # an import without memory leaves a name without a module, at which the next one crashes
        if sys.modules.get(name) is None:
            sys.modules.pop(name, None)
    for name in names:
        sys.modules.pop("ota." + name, None)
        globals().pop(name, None)
