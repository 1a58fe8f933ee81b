"""What waits until the service hears it."""
# SPDX-License-Identifier: MIT

import concurrent.futures
import json

import pytest

from mpota import messages
from mpota.inbox import UNHEARD_MAX, Inbox

from .helpers import DN, PK


@pytest.fixture
def inbox():
    return Inbox()


def put(inbox, kind, dn=DN, answer=None, **params):
    return inbox.put(messages.topic(kind, PK, dn), json.dumps({"params": params}).encode(), answer)


def taken(inbox, limit=1000):
    """(device, what it said) in the order they are heard."""
    return [(topic.split("/")[-1], *json.loads(payload)["params"].values()) for topic, payload, _ in inbox.take(limit, 0)]


def test_what_a_device_says_is_heard_in_order(inbox):
    put(inbox, "progress", step=100)
    put(inbox, "inform", version="1.0.0")
    put(inbox, "progress", step=-1)
    put(inbox, "progress", step=0)
    assert taken(inbox) == [(DN, 100), (DN, "1.0.0"), (DN, -1), (DN, 0)] and taken(inbox) == []


def test_of_progress_only_the_newest_waits_and_no_outcome_is_lost(inbox):
    for step in (1, 2, 3, -2, -2, 0, 1, 2):
        put(inbox, "progress", step=step)
    assert taken(inbox) == [(DN, 3), (DN, -2), (DN, -2), (DN, 2)]


def test_who_waits_for_an_answer_gets_one(inbox):
    answers = [concurrent.futures.Future() for _ in range(2)]
    for answer in (answers[0], None, answers[1]):
        put(inbox, "progress", answer=answer, step=1)
    assert [answer for _, _, answer in inbox.take(3, 0)] == [answers[0], None, answers[1]]


def test_of_a_device_that_does_not_stop_talking_the_newest_is_heard_in_its_turn(inbox):
    for n in range(UNHEARD_MAX + 1):
        put(inbox, "inform", version=str(n))
    put(inbox, "inform", dn="dev02", version="x")
    assert taken(inbox, 3) == [(DN, "1"), ("dev02", "x"), (DN, "2")]
    assert taken(inbox)[-1] == (DN, str(UNHEARD_MAX))


def test_who_asks_too_much_is_told_so(inbox):
    answers = [concurrent.futures.Future() for _ in range(UNHEARD_MAX + 1)]
    assert [put(inbox, "inform", answer=answer, version="1") for answer in answers] == [True] * UNHEARD_MAX + [False]
    assert not put(inbox, "inform", version="2")
    assert len(taken(inbox)) == UNHEARD_MAX and put(inbox, "inform", version="more")
