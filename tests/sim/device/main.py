"""Runs lives: main.py WORLD SCENARIO PLAN [CUTS] [STATES]

PLAN: from,to,every,seeds,pairs,salt,random of sim.h. CUTS: "operation.shape.seed,..." to replay, or "-". Prints one FAIL line for
each life that went wrong and, last, what was done. Set MPOTA_VERBOSE to see a life.
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
from scenarios import SCENARIOS
from world import World


def numbers(text):
    return tuple(int(n) for n in text.split("."))


def setup(world):
    part = world.part
    shape = tuple(part[name] for name in ("sector", "command", "guarded_unit", "raw_trailers", "slot_bytes"))
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


def main(folder, name, plan, cuts="-", states=""):
    world = World(folder)
    setup(world)
    say = print
    verbose = os.getenv("MPOTA_VERBOSE")
    if not verbose:
        builtins.print = lambda *args: None
    random.seed(1)
    life = Life(world, SCENARIOS[name], say if verbose else None)
    _sim.plan(tuple(int(n) for n in plan.split(",")), tuple(numbers(cut) for cut in cuts.split(",")) if cuts != "-" else ())
    wrong = verdict(life)
    operations, path, _, _ = _sim.life()
    if wrong:
        say("FAIL", path or "-", wrong)
        if verbose:
            for slot in range(2):
                say("    " + words(life.oracle, slot))
    _sim.end(not wrong)
    if states:
        _sim.save_states(states)
    say("DONE", operations, _sim.stats())


main(*sys.argv[1:])
