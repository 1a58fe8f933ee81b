"""The campaign of failing allocations: each one that the device makes in whole updates fails, alone or with those behind it, until the next
reset (DESIGN.md, "The service"). The judge is the power-cut campaign's, and no power cycle helps.
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
    results = {story: [run_once(prover, task, journal)] for story, task in whole.items()}
    made = {story: first.operations for story, (first,) in results.items()}
    tasks = [
        chunk for story in stories for count in COUNTS
        for chunk in chunks(replace(whole[story], start=1, end=made[story] + 1, every=every, starved=count), CHUNK * every)
    ]
    for task, result in run_all(prover, tasks, journal, show):
        results[task.scenario].append(result)
    return {
        story: (made[story], sum(result.lives for result in found), [tuple(failure) for result in found for failure in result.failures])
        for story, found in results.items()
    }
