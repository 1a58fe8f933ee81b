"""The command `mpota`."""
# SPDX-License-Identifier: MIT

import contextlib
import errno
import importlib
import os
import sys

import click

from mpota.errors import ToolError, os_error

COMMANDS = ("config", "device", "emulate", "firmware", "flash", "image", "key", "patch", "publish", "serve", "status", "withdraw")  # each a module here, imported when it is used


class LazyGroup(click.Group):
    """Keeps `mpota key show` from importing a web server."""

    def list_commands(self, ctx):
        """The names, in order."""
        return list(COMMANDS)

    def get_command(self, ctx, name):
        """The command, or None."""
        return getattr(importlib.import_module(f"mpota.cli.{name}"), name) if name in COMMANDS else None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="mpota", message="%(prog)s %(version)s")
def mpota():
    """Builds, signs, publishes and serves firmware updates for MicroPython boards."""


def main():
    """The console script: one line on stderr and status 1 for what is wrong, 2 for wrong usage."""
    try:
        status = mpota.main(prog_name="mpota", standalone_mode=False)
        _flush()
    except ToolError as error:
        status = _complain(error)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        status = 130
    except UnicodeEncodeError as error:  # arguments are bytes to the system
        status = _complain(ToolError(error.object[: error.end].split()[-1], "not UTF-8"))
    except OSError as error:
        if not error.filename and error.errno not in (errno.ENOSPC, errno.EPIPE):
            raise
        status = _complain(os_error(error.filename or "standard output", error))
    sys.exit(status)


def _flush():
    if sys.stdout:  # closed by who started us
        sys.stdout.flush()


def _complain(error):
    try:
        _flush()
    except OSError:
        with contextlib.suppress(OSError):  # or Python tries again when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    print(f"mpota: {error}", file=sys.stderr)
    return 1
