"""mpota image."""
# SPDX-License-Identifier: MIT

import click

from mpota import board, config, keys, linkkit, payload, signing, storage
from mpota import image as images
from mpota.cli.common import PATH, NumberType, config_option, json_option, print_facts, print_json, print_written
from mpota.errors import ToolError


class VersionType(click.ParamType):
    """1.2.3 or 1.2.3+4."""

    name = "version"

    def convert(self, value, param, ctx):
        """The Version, or a usage error."""
        version = images.Version.parse(value)
        if version is None:
            self.fail(f"{value} is not of the form 1.2.3+4 (at most 255.255.65535+4294967295)", param, ctx)
        return version


@click.group()
def image():
    """Builds, signs and checks images."""


@image.command()
@click.argument("payload_path", metavar="PAYLOAD", type=PATH)
@click.argument("out", type=PATH)
@config_option
@click.option("--board", "board_name", help="A folder's name under boards/.")
@click.option("--product", metavar="PK", help="Product key.")
@click.option("--version", type=VersionType(), required=True)
@click.option("--counter", type=NumberType(), required=True, help="Security counter: never boots below one confirmed.")
@click.option("--key", "key_path", type=PATH, help="Private key that signs.")
@click.option("--vendor", metavar="DOMAIN", help="Instead of the board's vendor.")
@click.option("--boards", envvar="MPOTA_BOARDS", type=PATH, help="Folder of the boards, or MPOTA_BOARDS.")
def build(payload_path, out, config_path, board_name, product, version, counter, key_path, vendor, boards):
    """Makes the signed image OUT from what the board runs, PAYLOAD.

    Board, product and key are taken from the configuration file if they are not given, see make menuconfig."""
    if not (board_name and product and key_path):
        options = config.load(config_path, boards or board.default_folder(), board_name)
        board_name, product, key_path = options.board, product or options.product, key_path or options.image_keys[0]
    storage.check_out(out, (payload_path, key_path))
    linkkit.check_names(product)
    facts = board.load(board_name, boards)
    vendor = vendor or facts.vendor
    if not vendor.isprintable():
        raise ToolError(vendor, "not a vendor's domain")
    recipe = signing.Recipe(version, counter, vendor, f"{product}/{board_name}", facts.header_size)
    program = storage.read(payload_path, facts.image_limit)
    payload.check(program, facts, payload_path)
    data = signing.build(program, recipe, keys.load_private(key_path))
    signing.check_size(data, facts, payload_path)
    storage.write(out, data)
    print_written(out, f"{version}, {len(data)} bytes, {facts.image_limit - len(data)} left in the slot")


@image.command()
@click.argument("file", type=PATH)
@click.argument("out", type=PATH)
@click.option("--key", "key_path", type=PATH, required=True, help="Private key that signs.")
def sign(file, out, key_path):
    """Signs the image FILE by another key, as OUT. Version and counter stay."""
    storage.check_out(out, (key_path,))
    data = signing.sign(storage.read(file), keys.load_private(key_path), file)
    storage.write(out, data)
    print_written(out, f"{len(data)} bytes")


@image.command()
@click.argument("file", type=PATH)
@click.option("--key", "key_path", type=PATH, required=True, help="Private or public key.")
def verify(file, key_path):
    """Checks hash and signature of the image FILE."""
    found = signing.verify(file, keys.load(key_path))
    click.echo(f"{file}: {found.version}, hash and signature are right")


@image.command()
@click.argument("file", type=PATH)
@json_option
def info(file, as_json):
    """Shows what the image FILE says of itself."""
    found, _ = images.load(file)
    (print_json if as_json else print_facts)(found.facts())
