"""mpota device."""
# SPDX-License-Identifier: MIT

from dataclasses import asdict

import click

from mpota.cli.common import json_option, print_facts, print_json, print_table, since, state_option
from mpota.codes import text
from mpota.store import Store

HISTORY = ("id", "target", "state", "since", "step", "desc", "failures")


@click.group()
def device():
    """Adds, shows and removes devices."""


@device.command()
@click.argument("pk")
@click.argument("names", metavar="DN...", nargs=-1, required=True)
@click.option("--secret", metavar="DS", help="Device secret, of one device; drawn if not given.")
@click.option("--product-secret", metavar="PS", help="Product secret; drawn with a product's first device if not given.")
@state_option
@json_option
def add(pk, names, secret, product_secret, state, as_json):
    """Lets the devices DN of product PK log in, all of them or none. A running server knows them at once."""
    if secret and len(names) > 1:
        raise click.UsageError("--secret is for one device")
    store = Store(state, create=True)
    with store.transaction():
        added = [store.add_device(pk, dn, secret, product_secret) for dn in dict.fromkeys(names)]
    if as_json:
        print_json([_facts(store, device) for device in added])
        return
    click.echo(f"{pk}: product secret {store.product_secret(pk)}")
    for found in added:
        click.echo(f"{found.name}: secret {found.secret}")


@device.command()
@click.argument("pk")
@click.argument("names", metavar="DN...", nargs=-1, required=True)
@state_option
def remove(pk, names, state):
    """Forgets the devices DN of product PK, all of them or none: they cannot log in any more. Added again, they can register anew."""
    store = Store(state)
    with store.transaction():
        removed = [store.remove_device(pk, dn) for dn in dict.fromkeys(names)]
    for found in removed:
        click.echo(f"{found.name}: removed")


@device.command("list")
@state_option
@json_option
def list_(state, as_json):
    """Lists devices and the versions they run."""
    devices = Store(state).devices()
    if as_json:
        print_json([{"pk": d.pk, "dn": d.dn, "version": d.version} for d in devices])
    else:
        print_table(("product", "device", "version"), [(d.pk, d.dn, d.version) for d in devices])


@device.command()
@click.argument("pk")
@click.argument("dn")
@state_option
@json_option
def show(pk, dn, state, as_json):
    """Shows a device with its secrets and all its updates."""
    store = Store(state)
    updates = [
        {"id": u.id, "target": u.version, "state": u.state, "since": since(u), "step": u.step, "desc": text(u.desc), "failures": u.failures}
        for u in store.history(pk, dn)
    ]
    _print_device(store, store.device(pk, dn), as_json, updates)


def _facts(store, found):
    return asdict(found) | {"product_secret": store.product_secret(found.pk)}


def _print_device(store, found, as_json, updates=()):
    facts = _facts(store, found)
    if as_json:
        print_json(facts | {"updates": list(updates)})
        return
    print_facts(facts)
    if updates:
        print_table(HISTORY, [[update[name] for name in HISTORY] for update in updates])
