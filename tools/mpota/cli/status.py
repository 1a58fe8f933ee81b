"""mpota status."""
# SPDX-License-Identifier: MIT

import click

from mpota.cli.common import json_option, outcome, print_outcomes, state_option
from mpota.store import Store


@click.command()
@state_option
@json_option
def status(state, as_json):
    """Shows every device, its newest target and how far it is."""
    store = Store(state)
    targets = {(update.pk, update.dn): update for update in store.targets()}
    print_outcomes([outcome(d, targets.get((d.pk, d.dn))) for d in store.devices()], as_json)
