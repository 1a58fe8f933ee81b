"""Options and output that several commands share."""
# SPDX-License-Identifier: MIT

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import click
from click.core import ParameterSource

from mpota.codes import text
from mpota.errors import os_error

PATH = click.Path(readable=False)  # who opens it says what is wrong with it

state_option = click.option(
    "--state", envvar="MPOTA_STATE", default="mpota-state", show_default=True, type=PATH,
    help="Folder of the server's state, or MPOTA_STATE.",
)  # fmt: skip


def _named_config(context, parameter, path):
    """There need be none but one that was named at the prompt."""
    if context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
        try:
            Path(path).stat()
        except OSError as error:
            raise os_error(path, error) from error
    return path


config_option = click.option(
    "--config", "config_path", envvar="KCONFIG_CONFIG", default=".config", show_default=True, type=PATH, callback=_named_config,
    help="What make menuconfig wrote, or KCONFIG_CONFIG.",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class DurationType(click.ParamType):
    """A time in seconds, or with s, m, h or d behind it."""

    name = "duration"

    def convert(self, value, param, ctx):
        """The seconds, or a usage error."""
        found = re.fullmatch(r"(\d{1,6})([smhd]?)", value, re.ASCII)
        if not found:
            self.fail(f"{value} is not a time like 90, 30m, 12h or 2d", param, ctx)
        return int(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]


class NumberType(click.ParamType):
    """A u32, also as 0x..."""

    name = "number"

    def convert(self, value, param, ctx):
        """The number, or a usage error."""
        try:
            number = int(value, 0) if isinstance(value, str) else value
        except ValueError:
            number = -1
        if not 0 <= number <= 0xFFFFFFFF:
            self.fail(f"{value} is not a number from 0 to 0xffffffff", param, ctx)
        return number


def print_written(out, text):
    """What there is to say of the file `out`; on stderr if it is none, as standard output may be what was written to."""
    click.echo(f"{out}: {text}", err=not Path(out).is_file())


def print_json(value, out=None):
    """For scripts; of what was written to `out` where print_written says it."""
    click.echo(json.dumps(value, indent=2), err=out is not None and not Path(out).is_file())


def print_facts(facts):
    """Names and values, one pair a line."""
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        click.echo(f"{name.replace('_', ' '):<{width}}  {'-' if value is None else value}")


def print_table(columns, rows, title=None):
    """A table; its cells are text, never markup. Where a terminal is too narrow they have more lines; nothing is left out."""
    from rich.box import SIMPLE_HEAD  # slow to import, and not needed for JSON
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text("-" if cell is None else str(cell)) for cell in row))
    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console.width = max(console.width, console.measure(table).maximum)
    console.print(table)


OUTCOME = ("device", "version", "target", "state", "since", "step", "desc")


def outcome(device, update):
    """A row of the outcome table."""
    row = {"device": device.name, "version": device.version}
    if update is None:
        return row | dict.fromkeys(OUTCOME[2:])
    return row | {"target": update.version, "state": update.state, "since": since(update), "step": update.step, "desc": text(update.desc)}


def since(update):
    """When the update last changed, in ISO 8601; None for one of before this was kept."""
    return datetime.fromtimestamp(update.at, UTC).isoformat(timespec="seconds") if update.at else None


def _ago(moment):
    """How long ago since() is, in its largest unit."""
    if moment is None:
        return None
    seconds = max(int((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()), 0)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def print_outcomes(rows, as_json):
    """The outcome table."""
    if as_json:
        print_json(rows)
    else:
        print_table(OUTCOME, [(row | {"since": _ago(row["since"])}).values() for row in rows])
