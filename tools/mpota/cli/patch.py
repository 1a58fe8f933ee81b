"""mpota patch."""
# SPDX-License-Identifier: MIT

import click

from mpota import keys, patching, storage
from mpota import patch as patches
from mpota.cli.common import PATH, NumberType, json_option, print_facts, print_json, print_written


@click.group()
def patch():
    """Makes, applies and shows patches between any two files."""


@patch.command()
@click.argument("old", type=PATH)
@click.argument("new", type=PATH)
@click.argument("out", type=PATH)
@click.option("--arch", type=click.Choice(["auto", "xtensa", "thumb", "arm", "x86-64", "raw"]), default="auto", show_default=True)
@click.option("--state", type=NumberType(), default=16384, show_default=True, help="Bytes of memory that the decoder has.")
@click.option("--key", "key_path", type=PATH, help="Private key of images: OLD and NEW are images, OUT is signed for devices.")
@json_option
def make(old, new, out, arch, state, key_path, as_json):
    """Makes the patch OUT that turns OLD into NEW."""
    storage.check_out(out, (old, new))
    key = keys.load_private(key_path) if key_path else None
    result = patching.check_pair(old, new, key) if key else None
    before, after = (storage.read(path, patches.MAX_BYTES) for path in (old, new))
    made = patching.make(before, after, "--state", arch, state)
    if key:
        made = patching.wrap(made, result, key)
    storage.write(out, made)
    facts = patching.info(made, out)
    if as_json:
        print_json(facts, out)
    else:
        print_written(out, f"{len(made)} bytes, {100 * len(made) / max(len(after), 1):.1f} % of {new}, decoder state {facts['state_bytes']}")


@patch.command()
@click.argument("old", type=PATH)
@click.argument("patch_path", metavar="PATCH", type=PATH)
@click.argument("out", type=PATH)
def apply(old, patch_path, out):
    """Turns OLD into OUT by PATCH, bare or signed; the result's hash is checked."""
    storage.check_out(out, (old, patch_path))
    bare = patching.unwrap(storage.read(patch_path), patch_path)
    new = patching.apply(storage.read(old), bare, patch_path)
    storage.write(out, new)
    print_written(out, f"{len(new)} bytes, hash is right")


@patch.command()
@click.argument("patch_path", metavar="PATCH", type=PATH)
@json_option
def info(patch_path, as_json):
    """Shows what PATCH says of itself."""
    facts = patching.info(storage.read(patch_path), patch_path)
    print_json(facts) if as_json else print_facts(facts)
