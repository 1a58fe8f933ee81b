"""mpota firmware."""
# SPDX-License-Identifier: MIT

import click

from mpota import board as boards
from mpota import firmware as firmware_
from mpota import keys, pki


@click.command()
@click.argument("out", type=click.Path())
@click.option("--board", "name", required=True, help="A folder's name under boards/.")
@click.option("--product", required=True, metavar="PK", help="Product key.")
@click.option("--image-key", required=True, multiple=True, metavar="PATH", help="Whose images boot; may be given again.")
@click.option("--digest-key", metavar="PATH", help="Key behind digestsign.")
@click.option("--ca", metavar="PATH", help="CA certificate for TLS, PEM.")
@click.option("--server", metavar="HOST:PORT", help="Broker; the cloud's if not given.")
@click.option("--boards", "folder", envvar="MPOTA_BOARDS", type=click.Path(), help="Folder of the boards, or MPOTA_BOARDS.")
def firmware(out, name, product, image_key, digest_key, ca, server, folder):
    """Writes into the folder OUT what a build of the board's firmware is configured by."""
    trust = firmware_.Trust(
        product=product,
        image_keys=tuple(keys.public_der(keys.load(path)) for path in image_key),
        digest_key=keys.public_der(keys.load(digest_key)) if digest_key else None,
        ca=pki.certificate_der(ca) if ca else None,
    )
    firmware_.generate(boards.load(name, folder), trust, server, out)
