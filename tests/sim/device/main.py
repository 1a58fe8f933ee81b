"""Runs lives as a line of its input says: WORLD SCENARIO PLAN CUTS STATES, with tabs between. (MicroPython keeps arguments for ever, as it does
the names in a program: their lengths would change at which name it needs more memory for them.)

PLAN: from,to,every,seeds,pairs,salt of sim.h and starved; a random scenario runs once for each seed in [from, to). starved: if not 0, nothing is
cut, and a life is run for every `every`th allocation in [from, to) of the device; that one fails, and those behind it, so many together; with `to`
0 a life in which none fails. CUTS: to replay them, "operation.shape.seed,...", or "-". STATES: where hashes of the flash go, or "-". Prints one
FAIL line for each life that went wrong and, last, what was done. Set MPOTA_VERBOSE to see a life.
"""

# SPDX-License-Identifier: MIT
import os
import sys

import clock
import entropy
import peer
import tls  # or the device would be charged with compiling it

sys.modules["time"] = clock
sys.modules["os"] = entropy
sys.modules["socket"] = peer

import builtins
import random

import _sim
import _starve
from life import Life
from oracle import Violation, words
from scenarios import CUT, RANDOM
from world import World


def warm():
    """Imports what lives import on their way, so that their forks need not compile it."""
    from ota.transport import net

    net.install(None, 3000, lambda blocking=False: None)
    import urequests
    from ota import install, md5, notice, rules, running, service
    from ota.download import coap, coap_url, http
    from ota.transport import coap, mqtt
    from ota.verify import digestsign

    service.forget = lambda *names: None


def silent(*args):
    pass


def numbers(text):
    return tuple(int(n) for n in text.split("."))


def setup(world):
    part = world.part
    shape = tuple(part[name] for name in ("sector", "block", "command", "guarded_unit", "raw_trailers", "slot_bytes"))
    _sim.setup(shape, world.key, world.vendor_id, world.class_id)


def verdict(life):
    """None, or what went wrong."""
    try:
        life.run()
    except Violation as e:
        return e.args[0]
    except Exception as e:
        sys.print_exception(e)
        return "the device's program raised " + repr(e)
    return None


def live(world, scenario, name, say, verbose, starved=None):
    """One life and, by forks, all those that it is cut into. Returns its operations; allocations, if that is what fails."""
    life = Life(world, scenario, say if verbose else silent if starved else None, starved)  # to put words together takes memory, too
    wrong = verdict(life)
    operations, path, _, _ = _sim.life()
    if wrong:
        say("FAIL", name or path or "-", wrong)
        if verbose:
            for slot in range(2):
                say("    " + words(life.oracle, slot))
    _sim.end(not wrong)
    return _starve.counts()[0] if starved else operations


def main(folder, name, plan, cuts, states):
    world = World(folder)
    setup(world)
    say = print
    verbose = os.getenv("MPOTA_VERBOSE")
    builtins.print = _starve.outside(print if verbose else silent)
    start, end, every, seeds, pairs, salt, starved = (int(n) for n in plan.split(","))
    operations = 0
    if not starved:
        warm()
    if starved and end:
        for first in range(start, end, every):
            if _sim.spawn("m%d.%d" % (first, starved)):
                random.seed(1)
                _sim.plan((0, 0, 1, 1, 0, 0, 0), ())
                live(world, CUT[name](), "m%d.%d" % (first, starved), say, verbose, (first, starved))
            if os.getenv("MPOTA_ONLY_FIRST") and _sim.stats()[1]:
                break
    elif name in CUT:
        random.seed(1)
        _sim.plan((start, end, every, seeds, pairs, salt, 0), tuple(numbers(cut) for cut in cuts.split(",")) if cuts != "-" else ())
        operations = live(world, CUT[name](), "", say, verbose, (0, 0) if starved else None)
    else:
        for seed in range(start, end):
            if _sim.spawn("s%d" % seed):
                random.seed(seed)
                scenario = RANDOM[name](seed)
                _sim.plan((0, 0, 1, 1, 0, seed, world.operations(scenario.random)), ())
                live(world, scenario, "s%d" % seed, say, verbose)
    if states != "-":
        _sim.save_states(states)
    say("DONE", operations, _sim.stats())


main(*sys.stdin.readline()[:-1].split("\t"))
