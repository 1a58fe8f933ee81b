"""Reading files whole and writing them all or not at all."""
# SPDX-License-Identifier: MIT

import contextlib
import errno
import fcntl
import os
import secrets
from pathlib import Path

from mpota.errors import ToolError, os_error

MAX_BYTES = 0x4000000  # beyond any file that a command reads


def read(path, limit=MAX_BYTES):
    """The file's bytes, `limit` at most: a device may have no end."""
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise os_error(path, error) from error
    if len(data) > limit:
        raise ToolError(path, f"larger than {limit} bytes")
    return data


def lock(file, kind=fcntl.LOCK_EX):
    """Takes the lock of an open file, unless somebody has it; returns whether. It is free again when the file is closed."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def make_folder(path, mode=0o777):
    """Makes a folder and those above it; one that is there stays as it is."""
    try:
        Path(path).mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise os_error(path, error) from error


def write(path, data, mode=0o666):
    """Replaces the file `path` by `data` in one step: a reader sees the old file or the whole new one. A link stays a link, and
    what is no file, like /dev/stdout, is written to. Nobody may do more with it than `mode`, the umask and the old file allow."""
    temporary = None
    try:
        target = Path(path)
        if target.exists() and not target.is_file():
            target.write_bytes(data)
            return
        target = _resolved(target)
        if target.exists():
            mode &= target.stat().st_mode
        temporary = target.with_name(f".mpota-{secrets.token_hex(8)}")
        _fill(_made(temporary, mode), data)
        os.replace(temporary, target)
    except OSError as error:
        _remove(temporary)
        raise os_error(path, error) from error


def write_new(path, data, mode=0o666):
    """Makes `path`; never replaces a file."""
    try:
        handle = _made(path, mode)
    except OSError as error:
        raise os_error(path, error) from error
    try:
        _fill(handle, data)
    except OSError as error:
        _remove(path)
        raise os_error(path, error) from error


def make_private(path):
    """The file is there and, if it is ours, ours alone; returns whether it has been made. One that is there is not opened: SQLite's
    locks on a file end when the process closes it, whoever in it does."""
    try:
        with contextlib.suppress(FileExistsError):
            os.close(_made(path, 0o600))
            return True
        found = os.stat(path)
        if found.st_mode & 0o077 and found.st_uid == os.geteuid():
            os.chmod(path, 0o600)
        return False
    except OSError as error:
        raise os_error(path, error) from error


def check_out(path, inputs):
    """What would stop `write` can be told before the work: the folder is missing, or `path` is one of the files that are read."""
    try:
        os.stat(_resolved(path).parent)
    except OSError as error:
        raise os_error(path, error) from error
    for given in inputs:
        with contextlib.suppress(FileNotFoundError):
            if os.path.isfile(given) and os.path.samefile(path, given):
                raise ToolError(path, "would be written over, and it is read")


def _resolved(path):
    """Where links lead; OSError if to each other, in any Python."""
    try:
        found = Path(path).resolve()
    except RuntimeError:
        found = Path(path)
    if found.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return found


def _made(path, mode):
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)


def _fill(handle, data):
    with open(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _remove(path):
    if path is not None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
