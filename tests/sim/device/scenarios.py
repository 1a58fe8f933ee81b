"""Whole lives. A life is a list of chapters; each offers an artifact and says what must have happened at its end.

Chapter fields: offer: name of what the server offers. fate: what the new image does: "good", "hang" (never gives a sign of life)
or "gives up" (calls rollback). ends: the version that runs confirmed at the chapter's end. told: the failure codes one of which
the server must have heard, or (). setup(server): makes the server bad.
"""

# SPDX-License-Identifier: MIT


class Chapter:
    def __init__(self, offer, ends, fate="good", told=(), setup=None):
        self.offer = offer
        self.ends = ends
        self.fate = fate
        self.told = told
        self.setup = setup


class Scenario:
    """factory: what lies in slot A at first, or None for a blank flash: a person then sends 1.0.0 to the console."""

    def __init__(self, *chapters, factory="1.0.0"):
        self.factory = factory
        self.chapters = (Chapter(None, "1.0.0"),) + chapters


def _lossy(server):
    size = server.offer.size
    server.drops = [size // 5, size // 2, size // 2 + 1, size - 1]


def _without_ranges(server):
    server.ranges = False
    _lossy(server)


def _lying(server):
    server.corrupt = 1


SECOND = Chapter("1.2.0", "1.2.0")

SCENARIOS = {
    "image": Scenario(Chapter("1.1.0", "1.1.0")),
    "twice": Scenario(Chapter("1.1.0", "1.1.0"), SECOND),
    "patch": Scenario(Chapter("patch", "1.1.9"), SECOND),
    "hang": Scenario(Chapter("1.1.0", "1.0.0", "hang", (1090,)), SECOND),
    "gives-up": Scenario(Chapter("1.1.0", "1.0.0", "gives up", (1091, 1090)), SECOND),
    "lossy": Scenario(Chapter("1.1.0", "1.1.0", setup=_lossy)),
    "no-range": Scenario(Chapter("1.1.0", "1.1.0", setup=_without_ranges)),
    "lying": Scenario(Chapter("1.1.0", "1.1.0", setup=_lying)),
    "foreign": Scenario(Chapter("foreign", "1.0.0", told=(1006, 1031)), SECOND),
    "console": Scenario(Chapter("1.1.0", "1.1.0"), factory=None),
}
