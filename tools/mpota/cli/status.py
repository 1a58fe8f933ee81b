"""mpota status."""
# SPDX-License-Identifier: MIT

from collections import Counter

import click

from mpota import rules
from mpota.cli.common import json_option, outcome, print_outcomes, state_option
from mpota.store import Store


@click.command()
@click.option("--only", type=click.Choice(rules.STATES), multiple=True, help="Devices in this state; may be given again.")
@state_option
@json_option
def status(only, state, as_json):
    """Shows every device, its newest target and how far it is; and how many are in which state."""
    store = Store(state)
    targets = {(update.pk, update.dn): update for update in store.targets()}
    rows = [outcome(d, targets.get((d.pk, d.dn))) for d in store.devices()]
    print_outcomes([row for row in rows if not only or row["state"] in only], as_json)
    if not as_json:
        counts = Counter(row["state"] or "without a target" for row in rows)
        click.echo(f"{len(rows)} device{'s' * (len(rows) != 1)}" + "".join(f", {count} {name}" for name, count in sorted(counts.items())))
