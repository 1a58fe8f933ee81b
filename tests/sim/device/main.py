"""Runs lives: main.py WORLD SCENARIO PLAN [CUTS] [STATES]

PLAN: from,to,every,seeds,pairs,salt of sim.h; a random scenario runs once for each seed in [from, to). CUTS: to replay them,
"operation.shape.seed,...", or "-". Prints one FAIL line for each life that went wrong and, last, what was done. Set
MPOTA_VERBOSE to see a life.
"""

# SPDX-License-Identifier: MIT
import os
import sys

import clock
import peer

sys.modules["time"] = clock
sys.modules["socket"] = peer

import builtins
import random

import _sim
from life import Life
from oracle import Violation, words
from scenarios import CUT, RANDOM
from world import World


def warm():
    """Imports what lives import on their way, so that their forks need not compile it."""
    from ota.transport import net

    net.install(None, 3000, lambda blocking=False: None)
    import urequests
    from ota import install, notice, rules, running, service
    from ota.download import http
    from ota.transport import mqtt
    from ota.verify import digestsign

    service.forget = lambda *names: None


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


def live(world, scenario, name, say, verbose):
    """One life and, by forks, all those that it is cut into."""
    life = Life(world, scenario, say if verbose else None)
    wrong = verdict(life)
    operations, path, _, _ = _sim.life()
    if wrong:
        say("FAIL", name or path or "-", wrong)
        if verbose:
            for slot in range(2):
                say("    " + words(life.oracle, slot))
    _sim.end(not wrong)
    return operations


def main(folder, name, plan, cuts="-", states=""):
    world = World(folder)
    setup(world)
    warm()
    say = print
    verbose = os.getenv("MPOTA_VERBOSE")
    if not verbose:
        builtins.print = lambda *args: None
    start, end, every, seeds, pairs, salt = (int(n) for n in plan.split(","))
    operations = 0
    if name in CUT:
        random.seed(1)
        _sim.plan((start, end, every, seeds, pairs, salt, 0), tuple(numbers(cut) for cut in cuts.split(",")) if cuts != "-" else ())
        operations = live(world, CUT[name](), "", say, verbose)
    else:
        for seed in range(start, end):
            if _sim.spawn("s%d" % seed):
                random.seed(seed)
                scenario = RANDOM[name](seed)
                _sim.plan((0, 0, 1, 1, 0, seed, world.operations(scenario.random)), ())
                live(world, scenario, "s%d" % seed, say, verbose)
    if states:
        _sim.save_states(states)
    say("DONE", operations, _sim.stats())


main(*sys.argv[1:])
