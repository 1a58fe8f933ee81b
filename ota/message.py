"""Linkkit's JSON messages (SPEC.md section 4) as the device says them, and the numbers of a version."""

# SPDX-License-Identifier: MIT
from micropython import const

_DESC_MAX = const(64)


class Notice:
    """One upgrade notification, every field checked.

    url, version: str. size: artifact bytes. method: "SHA256" or "MD5". digest: bytes of that method.
    digestsign: bytes or None, and None once it has been checked. patch: True if the artifact is a patch.
    """


def inform(version):
    return _dump({"version": version})


def progress(step, desc=""):
    """step: 1..100 percent, or -1 upgrade, -2 download, -3 verify, -4 flash; desc: what happened, cut to 64 characters."""
    return _dump({"step": str(step), "desc": desc[:_DESC_MAX]})


def _dump(params):
    import json

    return json.dumps({"id": 0, "params": params})


def numbers(version):
    """The numbers of a version text in order: "app-1.10.0" -> [1, 10, 0], trailing zeros dropped."""
    found = []
    inside = False
    for c in version.encode():  # a str's characters are kept for ever, as qstrs
        if 48 <= c < 58:
            if inside:
                found[-1] = found[-1] * 10 + c - 48
            else:
                found.append(c - 48)
            inside = True
        else:
            inside = False
    while found and not found[-1]:
        found.pop()
    return found
