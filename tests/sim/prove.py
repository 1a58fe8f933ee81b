"""`make prove`: the power-cut campaign (DESIGN.md, "A cut never bricks"): every flash operation of whole lives, cut inside; and every
allocation of whole lives, failing.

prove.py [--board NAME] [--quick] [--id ID]. An ID is BOARD/SIZE/SCENARIO/CUTS and replays one life in words; with mALLOCATION.COUNT for CUTS one
without memory; emulated/STORY/CUT one of the emulated chip's.
"""
# SPDX-License-Identifier: MIT

import sys
import time
from pathlib import Path

import click
from mpota.cli.common import print_table
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

sys.path.insert(0, str(Path(__file__).resolve().parent))

import emulated
import seeded
import starved
import world
from campaign import BUILD, DEPTHS, NEEDED, PHASES, STATES_TO_BEAT, CampaignError, Journal, Prover, campaign

SHOWN_FAILURES = 20
TOLD_FAILURES = 3  # in all their words
EMULATED_CUTS = 24
QUICK_ALLOCATIONS = 40  # one in so many


def print_totals(totals):
    rows = [(board, f"{total.operations:,}", f"{total.lives:,}", f"{total.cuts:,}", len(total.shapes), f"{len(total.states):,}", len(total.failures))
            for board, total in totals.items()]  # fmt: skip
    print_table(("board", "operations", "lives", "cuts", "shapes", "distinct states", "failures"), rows, "A cut never bricks")
    rows = [(phase, *(f"{total.phases.get(phase, 0):,}" for total in totals.values())) for phase in PHASES]
    print_table(("step", *totals), rows, "Cuts inside each step")


def progress_bar(console, name):
    """show(done, total, words) for a campaign, and what must be closed afterwards. Without a terminal a line now and then."""
    if not console.is_terminal:
        told = [-1]

        def tell(done, total, words):
            if done * 10 // total > told[0]:
                told[0] = done * 10 // total
                console.print(f"{name}: {done} of {total}, {words}")

        return tell, None
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeRemainingColumn())
    progress = Progress(*columns, console=console)
    bar = progress.add_task("counting", total=None)
    progress.start()
    return lambda done, total, words: progress.update(bar, completed=done, total=total, description=words), progress


def tell_failures(prover, console, failures):
    """One line with its ID for each, and the first ones in all their words."""
    for i, (identity, words) in enumerate(sorted(set(failures))[:SHOWN_FAILURES]):
        console.print(f"[red]{words}[/red]: make prove ID={identity}", soft_wrap=True)
        if i < TOLD_FAILURES:
            console.print(prover.replay(identity)[1], markup=False, highlight=False, soft_wrap=True)


def run(name, console, work):
    """(prover, what work(prover, journal, show) returns)."""
    prover = Prover(BUILD / "prove")
    prover.folder.mkdir(parents=True, exist_ok=True)
    prover.build()
    show, progress = progress_bar(console, name)
    try:
        return prover, work(prover, Journal(BUILD / "prove" / f"journal-{name}.sqlite", prover.fingerprint()), show)
    finally:
        if progress:
            progress.stop()


def prove(boards, name, console):
    """The campaign, its table; True if all is well."""
    prover, totals = run(name, console, lambda prover, journal, show: campaign(prover, boards, DEPTHS[name], journal, show))
    print_totals(totals)
    good = True
    for board, total in totals.items():
        tell_failures(prover, console, total.failures)
        faults = list(total.faults(NEEDED, STATES_TO_BEAT if name == "full" else 0))
        for words in faults:
            console.print(f"[red]{board}: {words}[/red]")
        good = good and not total.failures and not faults
    return good


def starve(every, name, console):
    """The campaign of failing allocations, its table; True if all is well."""
    prover, stories = run(f"memory-{name}", console, lambda prover, journal, show: starved.campaign(prover, starved.STORIES, every, journal, show))
    rows = [(story, f"{made:,}", f"{lives:,}", len(failures)) for story, (made, lives, failures) in stories.items()]
    print_table(("story", "allocations", "lives", "failures"), rows, "No memory, no matter")
    failures = [failure for _, _, found in stories.values() for failure in found]
    tell_failures(prover, console, failures)
    nothing = [story for story, (made, lives, _) in stories.items() if not (made and lives > 1)]
    for story in nothing:
        console.print(f"[red]{story}: no allocation failed[/red]")
    return not failures and not nothing


def replay(identity, console):
    """One life again; True if it went well."""
    if identity.startswith("emulated/"):
        return emulated.check(console, EMULATED_CUTS, identity)
    if identity.count("/") != 3:
        raise click.BadParameter(f"{identity} is not of the form BOARD/SIZE/SCENARIO/CUTS", param_hint="--id")
    prover = Prover(BUILD / "prove")
    prover.build()
    failed, text = prover.replay(identity)
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    return not failed


def everything(board, quick, console):
    name = "quick" if quick else "full"
    good = prove([board] if board else list(world.PARTS), name, console)
    if board in (None, starved.BOARD):
        good = starve(QUICK_ALLOCATIONS if quick else 1, name, console) and good
    if quick:
        return good
    good = seeded.check(console) and good
    if board in (None, "esp8266"):
        good = emulated.check(console, EMULATED_CUTS) and good
    return good


@click.command()
@click.option("--board", type=click.Choice(list(world.PARTS)), help="Only this one.")
@click.option("--quick", is_flag=True, help="A seeded sample of all boards in about two minutes.")
@click.option("--id", "identity", help="Replays one life in words.")
def main(board, quick, identity):
    """Cuts the power inside every flash operation of whole updates, and fails every allocation."""
    console = Console()
    started = time.monotonic()
    try:
        good = replay(identity, console) if identity else everything(board, quick, console)
    except CampaignError as e:
        raise click.ClickException(str(e)) from None
    console.print(f"{time.monotonic() - started:.0f} s")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
