"""mpota config."""
# SPDX-License-Identifier: MIT

from dataclasses import asdict

import click

from mpota import board as boards
from mpota import config as config_
from mpota.cli.common import PATH, config_option, json_option, print_facts, print_json
from mpota.errors import ToolError


@click.command()
@click.argument("name", required=False)
@config_option
@click.option("--boards", "folder", envvar="MPOTA_BOARDS", type=PATH, help="Folder of the boards, or MPOTA_BOARDS.")
@json_option
def config(name, config_path, folder, as_json):
    """Shows how firmware is configured: all options, or the one called NAME."""
    options = asdict(config_.load(config_path, folder or boards.default_folder()))
    if name:
        if name not in options:
            raise ToolError(name, f"no such option; there is {', '.join(options)}")
        click.echo("" if options[name] is None else options[name])
    else:
        (print_json if as_json else print_facts)(options)
