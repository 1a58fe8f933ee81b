"""A bad network, by seed: datagrams that are lost, doubled, late (and so out of order) or damaged."""
# SPDX-License-Identifier: MIT

import asyncio
import random
from collections import Counter


class Noise:
    """Rates are probabilities. `counts` tells what was done to how many; `passed` counts all datagrams that came."""

    def __init__(self, seed, drop=0.0, duplicate=0.0, delay=0.0, corrupt=0.0, delay_s=0.2):
        self._random = random.Random(seed)
        self._rates = {"drop": drop, "duplicate": duplicate, "delay": delay, "corrupt": corrupt}
        self._delay_s = delay_s
        self.counts = Counter()

    def pass_on(self, data, on):
        """Calls on(datagram) never, once or twice, now or later. Within asyncio."""
        self.counts["passed"] += 1
        happens = {kind: self._random.random() < rate for kind, rate in self._rates.items()}
        self.counts.update(kind for kind, does in happens.items() if does)
        if happens["drop"]:
            return
        if happens["corrupt"] and data:
            data = damage(data, self._random)
        if happens["duplicate"]:
            self._later(on, data)
        if happens["delay"]:
            self._later(on, data)
        else:
            on(data)

    def _later(self, on, data):
        asyncio.get_running_loop().call_later(self._random.uniform(0.001, self._delay_s), on, data)


def damage(data, chance):
    """The same bytes but one. chance: a random.Random."""
    data = bytearray(data)
    data[chance.randrange(len(data))] ^= chance.randrange(1, 256)
    return bytes(data)
