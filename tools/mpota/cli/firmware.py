"""mpota firmware."""
# SPDX-License-Identifier: MIT

from dataclasses import replace

import click

from mpota import board as boards
from mpota import config
from mpota import firmware as firmware_
from mpota import keys, pki
from mpota.cli.common import PATH, config_option
from mpota.errors import ToolError


@click.command()
@click.argument("out", type=PATH)
@config_option
@click.option("--board", "name", help="A folder's name under boards/.")
@click.option("--product", metavar="PK", help="Product key.")
@click.option("--image-key", multiple=True, metavar="PATH", help="Whose images boot; may be given again.")
@click.option("--digest-key", metavar="PATH", help="Key behind digestsign.")
@click.option("--ca", metavar="PATH", help="CA certificate for TLS, PEM.")
@click.option("--server", metavar="HOST:PORT", help="The service's server.")
@click.option("--boards", "folder", envvar="MPOTA_BOARDS", type=PATH, help="Folder of the boards, or MPOTA_BOARDS.")
def firmware(out, config_path, name, image_key, folder, **given):
    """Writes into the folder OUT what a build of the board's firmware is configured by.

    Options that are not given are taken from the configuration file, see make menuconfig."""
    folder = folder or boards.default_folder()
    options = config.load(config_path, folder, name)
    options = replace(options, **{key: value for key, value in given.items() if value})
    if not options.digest_key and options.sign != config.SIGNS.index("SHA256"):
        raise ToolError(config_path, "CONFIG_DIGEST_KEY is empty: only CONFIG_SIGN_SHA256 goes without a key")
    trust = firmware_.Trust(
        product=options.product,
        image_keys=tuple(keys.public_der(keys.load(path)) for path in image_key or options.image_keys),
        digest_key=keys.public_der(keys.load_digest(options.digest_key)) if options.digest_key else None,
        ca=pki.certificate_der(options.ca) if options.ca else None,
    )
    firmware_.generate(boards.load(options.board, folder), trust, options, out)
