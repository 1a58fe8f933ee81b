"""mpota withdraw."""
# SPDX-License-Identifier: MIT

import click

from mpota import publish as publishing
from mpota.cli.common import json_option, outcome, print_outcomes, state_option
from mpota.store import Store


@click.command()
@click.option("--device", "names", metavar="PK/DN", multiple=True, help="From this device; may be given again.")
@click.option("--product", metavar="PK", help="From all devices of this product.")
@state_option
@json_option
def withdraw(names, product, state, as_json):
    """Takes back what devices have not got to yet, and shows which those are. Nobody is told of it any more.

    A device that fetches already goes on until it restarts or gives up. What runs is replaced by publishing a higher version only."""
    if not names and product is None:
        raise click.UsageError("give --device or --product")
    store = Store(state)
    numbers = store.withdraw(publishing.devices(store, names, product))
    print_outcomes([outcome(store.device(u.pk, u.dn), u) for u in store.updates(numbers)], as_json)
