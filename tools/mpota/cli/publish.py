"""mpota publish."""
# SPDX-License-Identifier: MIT

from collections import Counter

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from mpota import keys, rules, running
from mpota import publish as publishing
from mpota.cli.common import PATH, DurationType, NumberType, json_option, outcome, print_outcomes, state_option
from mpota.codes import text
from mpota.store import Store

MANY = 40  # more bars than a terminal has lines


@click.command()
@click.argument("image", type=PATH)
@click.option("--key", "key_path", type=PATH, required=True, help="Private key for digestsign.")
@click.option("--device", "names", metavar="PK/DN", multiple=True, help="To this device; may be given again.")
@click.option("--product", metavar="PK", help="To all devices of this product.")
@click.option("--digest", type=click.Choice(list(publishing.DIGESTS)), default="sha256", show_default=True)
@click.option("--url-scheme", type=click.Choice(["https", "http", "coaps", "coap"]), default="https", show_default=True)
@click.option("--image-key", type=PATH, help="Private key of images: makes patches too, for what the devices run.")
@click.option("--base", "bases", type=PATH, multiple=True, help="An image that runs somewhere but was never published.")
@click.option("--state-bytes", type=NumberType(), default=8192, show_default=True, help="Memory that the boards' patch decoder has.")
@click.option("--first", type=click.IntRange(1), metavar="COUNT",
              help="So many are told first, of each version in turn, and the others held back until all of these run IMAGE.")
@click.option("--soak", type=DurationType(), metavar="TIME", default="0", help="How long these must have run it, like 30m, 12h or 2d.")
@click.option("--wait", is_flag=True, help="Until each that is told has come to an end; status 0 only if all run IMAGE.")
@click.option("--timeout", type=float, default=600, show_default=True, help="Seconds to wait.")
@state_option
@json_option
def publish(image, key_path, names, product, digest, url_scheme, image_key, bases, state_bytes, first, soak, wait, timeout, state, as_json):
    """Makes IMAGE the target of devices and has the server tell them.

    A device is left out that fetched what it runs from here, if that is of another product or board, or of IMAGE's version with other bytes."""
    if not names and product is None:
        raise click.UsageError("give --device or --product")
    if not timeout >= 0:  # as is true of nan too
        raise click.UsageError(f"--timeout {timeout} is not a number of seconds")
    if soak and not first:
        raise click.UsageError("--soak is for those that --first holds back")
    if wait and soak >= timeout:
        raise click.UsageError(f"--wait ends before --soak does: give a --timeout of more than {soak} seconds")
    if bases and not image_key:
        raise click.UsageError("--base is for patches, which need --image-key")
    store = Store(state)
    devices = publishing.fitting(store, image, publishing.devices(store, names, product), _tell)
    key = keys.load_digest_key(key_path)
    artifact = publishing.prepare(state, image, key, digest)
    told, held = publishing.first_of(image, devices, first, artifact.version) if first else (devices, [])
    patches = []
    if image_key:
        options = publishing.PatchOptions(bases, state_bytes, digest)
        patches = publishing.prepare_patches(store, image, devices, (keys.load_private(image_key), key), options, _tell)
    numbers = store.publish(artifact, told, url_scheme, patches, held, soak)
    for patch in patches:
        _tell(f"patch {patch.base} to {patch.version}: {patch.size} bytes instead of {artifact.size}")
    if not running.is_running(state):
        _tell(f"mpota: {state}: no server is running; devices are told when it is")
    updates = _watch(store, numbers, timeout) if wait else store.updates(numbers)
    print_outcomes([outcome(store.device(u.pk, u.dn), u) for u in updates], as_json)
    if wait and any(update.state != rules.UPDATED for update in updates):
        raise click.exceptions.Exit(1)


def _tell(text):
    click.echo(text, err=True)


def _watch(store, numbers, timeout):
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[state]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        show = (_each if len(numbers) <= MANY else _together)(progress, len(numbers))
        return publishing.wait(store, numbers, show, timeout)


def _each(progress, _count):
    """A bar for every device."""
    tasks = {}

    def show(update):
        if update.id not in tasks:
            tasks[update.id] = progress.add_task(f"{update.pk}/{update.dn}", total=100, state="")
        state = f"{update.state} {text(update.desc)}".strip()
        progress.update(tasks[update.id], completed=max(update.step, 0), state=state)

    return show


def _together(progress, count):
    """One bar: how many have come to their end, and how many are in which state."""
    states = {}
    task = progress.add_task(f"{count} devices", total=count, state="")

    def show(update):
        states[update.id] = update.state
        counts = Counter(states.values())
        progress.update(task, completed=sum(counts[state] for state in counts if state not in rules.PENDING),
                        state=", ".join(f"{counts[state]} {state}" for state in sorted(counts)))  # fmt: skip

    return show
