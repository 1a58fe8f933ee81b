"""The campaign of failing allocations: each one that the device makes in whole updates fails, alone or with those behind it, until the next
reset (DESIGN.md, "Memory"). The judge is the power-cut campaign's, and no power cycle helps.
"""
# SPDX-License-Identifier: MIT

from dataclasses import replace

from campaign import Task, chunks, run_all, run_once

STORIES = ("image", "patch", "gives-up", "alone", "foreign", "hang", "lying", "no-range", "coap", "coap-patch", "tls", "dtls")
COUNTS = (1, 3, 30)  # allocations that fail in a row; a poll makes some ten, a connection some hundred
BOARD, SIZE = "esp8266", "tiny"  # what the flash is does not matter here
CHUNK = 500


def campaign(prover, stories, every, journal, show=None):
    """One allocation in `every`. Returns {story: (allocations of a life, lives, failures)}. show(done, total, words)."""
    whole = {story: Task(BOARD, SIZE, story, 0, 0, starved=1) for story in stories}
    made = {story: run_once(prover, task, journal).operations for story, task in whole.items()}
    tasks = [
        chunk for story in stories for count in COUNTS
        for chunk in chunks(replace(whole[story], start=1, end=made[story] + 1, every=every, starved=count), CHUNK * every)
    ]
    lives, failures = dict.fromkeys(stories, 0), {story: [] for story in stories}
    for task, result in run_all(prover, tasks, journal, show):
        lives[task.scenario] += result.lives
        failures[task.scenario] += [tuple(failure) for failure in result.failures]
    return {story: (made[story], lives[story], failures[story]) for story in stories}
