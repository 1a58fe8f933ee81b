"""What `OTA_APP`, `netmgr` and `ota server` were told, kept in a file of the board so that it outlives a restart; and, in
a file of its own, the device secret that registration brought."""

# SPDX-License-Identifier: MIT
from micropython import const

_FILE = "ota.json"
_SECRET_FILE = "ota-secret.json"
_KEYS = ("ssid", "password", "pk", "dn", "ds", "ps", "server", "auth", "download")
_VALUE_MAX = const(128)


def load():
    """Returns the settings as a dict of str; empty where the file is missing or is not what save() wrote."""
    return _load(_FILE, _KEYS)


def save(settings):
    """Replaces the file in one step: a cut leaves the old one or the new one."""
    _save(_FILE, settings)


def secret(pk, dn):
    """The secret that this device was given when it registered, or None."""
    found = _load(_SECRET_FILE, ("pk", "dn", "ds"))
    return found.get("ds") if found.get("pk") == pk and found.get("dn") == dn else None


def keep_secret(pk, dn, ds):
    """Keeps it as save() does."""
    _save(_SECRET_FILE, {"pk": pk, "dn": dn, "ds": ds})


def _load(name, keys):
    import json

    try:
        with open(name) as f:
            found = json.load(f)
    except (OSError, ValueError, TypeError, RuntimeError):
        return {}
    if type(found) is not dict:
        return {}
    return {key: found[key] for key in keys if type(found.get(key)) is str and len(found[key]) <= _VALUE_MAX}


def _save(name, values):
    import json
    import os

    with open(name + ".new", "w") as f:
        json.dump(values, f)
    os.rename(name + ".new", name)
