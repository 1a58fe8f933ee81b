"""mpota flash."""
# SPDX-License-Identifier: MIT

import click

from mpota import board as boards
from mpota import esptool_
from mpota.cli.common import PATH


@click.command()
@click.argument("image", type=PATH)
@click.option("--board", "name", required=True, help="A folder's name under boards/.")
@click.option("--port", required=True, help="Serial device or pyserial URL.")
@click.option("--second-boot", metavar="PATH", help="Write the loader too, as on a new board.")
@click.option("--boards", "folder", envvar="MPOTA_BOARDS", type=PATH, help="Folder of the boards, or MPOTA_BOARDS.")
def flash(image, name, port, second_boot, folder):
    """Writes IMAGE into slot A of a board over its serial port, with esptool. It is what starts next, whatever was updated before."""
    board = boards.load(name, folder)
    esptool_.write(board, port, esptool_.plan(board, image, second_boot))
    click.echo(f"{image}: in slot A at {board.slots[0].offset:#x}")
