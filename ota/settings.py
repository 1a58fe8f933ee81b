"""What `OTA_APP`, `netmgr` and `ota server` were told, kept in a file of the board so that it outlives a restart."""

# SPDX-License-Identifier: MIT
from micropython import const

_FILE = "ota.json"
_KEYS = ("ssid", "password", "pk", "dn", "ds", "ps", "server")
_VALUE_MAX = const(128)


def load():
    """Returns the settings as a dict of str; empty where the file is missing or is not what save() wrote."""
    import json

    try:
        with open(_FILE) as f:
            found = json.load(f)
    except (OSError, ValueError, TypeError, RuntimeError):
        return {}
    if type(found) is not dict:
        return {}
    return {key: found[key] for key in _KEYS if type(found.get(key)) is str and len(found[key]) <= _VALUE_MAX}


def save(settings):
    """Replaces the file in one step: a cut leaves the old one or the new one."""
    import json
    import os

    with open(_FILE + ".new", "w") as f:
        json.dump(settings, f)
    os.rename(_FILE + ".new", _FILE)
