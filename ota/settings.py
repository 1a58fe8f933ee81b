"""What `OTA_APP`, `netmgr` and `ota server` were told, and the device secret that registration brought: a JSON object in
the board's parameter area."""

# SPDX-License-Identifier: MIT
from micropython import const

from ota.parameters import Parameters

_KEYS = ("ssid", "password", "pk", "dn", "ds", "ps", "server", "auth", "download")
_REGISTERED = ("registered_pk", "registered_dn", "registered_ds")
_VALUE_MAX = const(128)
_ENOSPC = const(28)


def load(board):
    """Returns the settings as a dict of str; empty where there are none."""
    return {key: value for key, value in _load(board).items() if key in _KEYS}


def change(board, changes):
    """Changes some and returns all; None takes one away. A cut leaves the old ones or the new ones."""
    if any(value and len(value) > _VALUE_MAX for value in changes.values()):
        raise OSError(_ENOSPC)
    values = _load(board)
    values.update(changes)
    _save(board, values)
    return load(board)


def secret(board, pk, dn):
    """The secret that this device was given when it registered, or None."""
    found = _load(board)
    owner = found.get("registered_pk"), found.get("registered_dn")
    return found.get("registered_ds") if owner == (pk, dn) else None


def keep_secret(board, pk, dn, ds):
    """Keeps it."""
    values = _load(board)
    values.update(zip(_REGISTERED, (pk, dn, ds)))
    _save(board, values)


def _area(board):
    return Parameters(board.flash, board.parameters)


def _load(board):
    import json

    try:
        found = json.loads(_area(board).load() or b"{}")
    except (ValueError, TypeError, RuntimeError):
        return {}
    if type(found) is not dict:
        return {}
    return {key: found[key] for key in _KEYS + _REGISTERED if type(found.get(key)) is str and len(found[key]) <= _VALUE_MAX}


def _save(board, values):
    import json

    _area(board).save(json.dumps({key: value for key, value in values.items() if value is not None}).encode())
