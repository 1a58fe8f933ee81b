"""The command `mpota`."""
# SPDX-License-Identifier: MIT

import contextlib
import errno
import importlib.metadata
import os
import sys

import click

from mpota.cli import device, firmware, image, key, publish, serve
from mpota.errors import ToolError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(importlib.metadata.version("mpota"), message="%(prog)s %(version)s")
def mpota():
    """Builds, signs, publishes and serves firmware updates for MicroPython boards."""


mpota.add_command(key.key)
mpota.add_command(image.image)
mpota.add_command(firmware.firmware)
mpota.add_command(device.device)
mpota.add_command(device.status)
mpota.add_command(publish.publish)
mpota.add_command(serve.serve)


def main():
    """The console script: one line on stderr and status 1 for what is wrong, 2 for wrong usage."""
    try:
        status = mpota.main(prog_name="mpota", standalone_mode=False)
        sys.stdout.flush()
    except ToolError as error:
        status = _complain(error)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        status = 130
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EPIPE) or error.filename:
            raise
        status = _complain(ToolError("standard output", error.strerror))
    sys.exit(status)


def _complain(error):
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):  # or Python tries again when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    print(f"mpota: {error}", file=sys.stderr)
    return 1
