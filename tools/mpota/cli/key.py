"""mpota key."""
# SPDX-License-Identifier: MIT

import click

from mpota import keys, storage
from mpota.cli.common import PATH, json_option, print_facts, print_json


@click.group()
def key():
    """Makes and shows RSA keys."""


@key.command()
@click.argument("path", type=PATH)
@click.option("--bits", type=click.Choice([str(bits) for bits in keys.BITS]), default="2048", show_default=True)
def new(path, bits):
    """Makes a private key in the new file PATH."""
    made = keys.create(path, int(bits))
    click.echo(f"{path}: RSA {bits}, key hash {keys.key_hash(made).hex()}")


@key.command()
@click.argument("path", type=PATH)
@click.option("--der", type=PATH, help="Write the public key there, as PKCS#1 DER.")
@click.option("--emit", type=click.Choice(["c", "python"]), help="Print the public key as source instead.")
@json_option
def show(path, der, emit, as_json):
    """Shows size and hash of the private or public key in PATH."""
    found = keys.load(path)
    if der:
        storage.check_out(der, (path,))
        storage.write(der, keys.public_der(found))
    facts = {"bits": found.key_size(), "key_hash": keys.key_hash(found).hex()}
    if emit:
        click.echo(keys.as_c(found) if emit == "c" else keys.as_python(found))
    elif as_json:
        print_json(facts | {"der": keys.public_der(found).hex()})
    else:
        print_facts(facts)
