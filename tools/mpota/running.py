"""The state folder as server and other commands share it: who serves it, where, and where artifacts lie."""
# SPDX-License-Identifier: MIT

import contextlib
import fcntl
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from mpota import storage
from mpota.errors import ToolError, os_error

ASKED_S = 1  # that a start waits for who only asks whether a server runs


@dataclass(frozen=True)
class Address:
    """A running server, as server.json describes it."""

    host: str
    mqtt_port: int
    mqtts_port: int
    http_port: int
    https_port: int
    coap_port: int
    coaps_port: int
    ca: str
    pid: int


def served_folder(state):
    """Where artifacts lie."""
    return Path(state) / "artifacts"


def artifact_url(address, artifact, scheme):
    """The URL a running server has for an artifact."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    port = getattr(address, f"{scheme}_port")
    return f"{scheme}://{host}:{port}/{artifact.file}"


def is_running(folder):
    """True if a server runs on this state."""
    if not _address_file(folder).exists():
        return False
    with open(_lock_file(folder), "ab") as file:
        return not storage.lock(file, fcntl.LOCK_SH)


def announce(folder, address):
    """Writes server.json."""
    storage.write(_address_file(folder), (json.dumps(asdict(address), indent=2) + "\n").encode())


def forget(folder):
    """Removes server.json."""
    _address_file(folder).unlink(missing_ok=True)


def _address_file(folder):
    return Path(folder) / "server.json"


def _lock_file(folder):
    return Path(folder) / "server.lock"


@contextlib.contextmanager
def only_server(folder):
    """While the context lasts, nobody else serves this state."""
    try:
        file = open(_lock_file(folder), "ab")
    except OSError as error:
        raise os_error(_lock_file(folder), error) from error
    with file:
        deadline = time.monotonic() + ASKED_S
        while not storage.lock(file):
            if time.monotonic() > deadline:
                raise ToolError(folder, "another server runs on this state")
            time.sleep(0.02)
        yield
