"""The rules of an update, without store, clock or network."""
# SPDX-License-Identifier: MIT

import itertools
from dataclasses import replace

import pytest

from mpota import rules
from mpota.rules import FAILED, HELD, NOTIFIED, RUNNING, UPDATED, WAITING, Update

NEW = Update(1, "pk", "dn", 1, "1.1.0", "https")


def at(update, *what):
    """The update after (function, arguments...) one a second."""
    for now, (rule, *arguments) in enumerate(what):
        update = rule(update, *arguments, now)
    return update


def test_only_the_informed_version_makes_an_update_done():
    running = at(NEW, (rules.informed, "1.0.0"), (rules.pushed,), (rules.reported, 100, ""))
    assert running.state == RUNNING
    assert rules.informed(running, "1.1.0", 9).state == UPDATED


@pytest.mark.parametrize("what", [(rules.informed, "1.0.0"), (rules.reported, 50, ""), (rules.reported, -1, "1020"), (rules.reported, -3, "1090")])
def test_what_is_held_is_moved_by_nothing_but_its_version(what):
    held = replace(NEW, state=HELD, due=None)
    assert at(held, what) == rules.listening(held, 9) == held
    assert not rules.is_due(held, 9)
    assert rules.informed(held, "1.1.0", 9).state == UPDATED


@pytest.mark.parametrize(("new", "old", "replaced"), [("1.1.0", "1.0.9", True), ("1.1.0", "1.1.0+0", False), ("1.1.0", "2.0.0", False),
                                                      ("1.1.0", "app-1", True), ("app-1", "app-1", False)])  # fmt: skip
def test_only_a_higher_version_replaces_one_that_can_be_told(new, old, replaced):
    assert rules.replaces(new, old) is replaced


@pytest.mark.parametrize("version", ["1.1.0", "1.1.0+0"])
def test_versions_are_compared_as_numbers(version):
    assert rules.informed(NEW, version, 0).state == UPDATED


@pytest.mark.parametrize("version", ["1.1.0+1", "1.1", "app-1.1.0", "01.1.0"])
def test_another_version_is_not_the_target(version):
    assert rules.informed(NEW, version, 0).state == WAITING


def test_each_inform_of_another_version_makes_the_update_due():
    told = at(NEW, (rules.informed, "1.0.0"), (rules.pushed,), (rules.reported, 10, ""))
    assert not rules.is_due(told, 1000)
    assert rules.is_due(rules.informed(told, "1.0.0", 1000), 1000)


def test_unanswered_push_is_repeated_a_few_times_only():
    update, pushes = NEW, 0
    for now in range(100):
        if rules.is_due(update, now):
            update, pushes = rules.pushed(update, now), pushes + 1
    assert (pushes, update.state) == (rules.MAX_SILENT, NOTIFIED)


@pytest.mark.parametrize("desc", ["1025", "1007 image signature is wrong", "1010", "1031"])
def test_final_code_fails_at_once(desc):
    failed = at(NEW, (rules.informed, "1.0.0"), (rules.pushed,), (rules.reported, -1, desc))
    assert (failed.state, failed.desc) == (FAILED, desc)
    assert not rules.is_due(rules.informed(failed, "1.0.0", 9), 9)


@pytest.mark.parametrize(("step", "state"), [(-1, WAITING), (-2, WAITING), (-3, FAILED), (-4, WAITING), (-11, FAILED), (-12, FAILED)])
def test_failure_without_a_code_is_judged_by_its_step(step, state):
    assert at(NEW, (rules.pushed,), (rules.reported, step, "ota failed")).state == state


def test_third_failure_is_the_last():
    update = NEW
    for number in range(rules.MAX_FAILURES):
        assert update.state == WAITING, number
        update = at(update, (rules.informed, "1.0.0"), (rules.pushed,), (rules.reported, -2, "1043"))
    assert (update.state, update.failures, update.desc) == (FAILED, rules.MAX_FAILURES, "1043")


def test_failures_with_progress_between_them_are_no_end():
    update = NEW
    for step in range(10, 100, 10):
        update = at(update, (rules.informed, "1.0.0"), (rules.pushed,), (rules.reported, step, ""), (rules.reported, -2, "1043"))
        assert (update.state, update.failures) == (WAITING, 1)
    for number in range(rules.MAX_FAILURES - 1):
        update = at(update, (rules.pushed,), (rules.reported, 90, ""), (rules.reported, -2, "1043"))
    assert (update.state, update.failures) == (FAILED, rules.MAX_FAILURES)


def test_failed_attempt_is_repeated_later_without_an_inform():
    failed = at(NEW, (rules.pushed,), (rules.reported, -2, "1043"))
    assert not rules.is_due(failed, rules.RETRY_S)
    assert rules.is_due(failed, rules.RETRY_S + 1)


@pytest.mark.parametrize("desc", ["1029", "1030"])
def test_device_that_is_not_ready_is_told_later_and_nothing_has_failed(desc):
    later = at(NEW, (rules.pushed,), (rules.reported, -1, desc))
    assert (later.state, later.failures) == (WAITING, 0)
    assert not rules.is_due(later, rules.LATER_S)
    assert rules.is_due(later, rules.LATER_S + 1)


def test_device_that_is_never_ready_is_told_for_ever_but_not_often():
    update, pushes = NEW, 0
    for now in range(10_000):
        if rules.is_due(update, now):
            update, pushes = rules.reported(rules.pushed(update, now), -1, "1030", now), pushes + 1
    assert update.due is not None and 50 < pushes < 150
    assert rules.informed(update, "1.0.0", 10_000).state == WAITING


@pytest.mark.parametrize("early", [0, 1])
def test_update_that_was_under_way_before_is_not_taken_for_this_one(early):
    """Published while the device fetched another: that one's progress may come before the device says that it is busy, or after."""
    reports = [(rules.reported, 40, ""), (rules.reported, -1, "1029"), (rules.reported, 60, "")]
    busy = at(NEW, (rules.pushed,), *reports[1 - early :])
    assert (busy.state, busy.step) == (WAITING, 0)
    free = rules.reported(busy, -3, "1006", 4)
    assert free.state == WAITING and rules.is_due(free, 4)
    done = at(free, (rules.pushed,), (rules.reported, 50, ""), (rules.informed, "1.1.0"))
    assert done.state == UPDATED


@pytest.mark.parametrize("desc", ["1090", "1091"])
def test_rollback_of_the_update_before_is_not_this_ones(desc):
    told = at(NEW, (rules.informed, "1.0.0"), (rules.pushed,), (rules.reported, -1, desc))
    assert told.state == NOTIFIED
    assert at(told, (rules.reported, 100, ""), (rules.reported, -1, desc)).state == FAILED


def test_trial_in_an_outage_is_given_another_and_not_for_ever():
    committed = at(NEW, (rules.pushed,), (rules.reported, 100, ""))
    assert at(NEW, (rules.pushed,), (rules.reported, -1, "1092")).state == NOTIFIED, "of the update before"
    for left in (2, 1, 0):
        back = at(committed, (rules.informed, "1.0.0"), (rules.pushed,), (rules.reported, -1, "1092"))
        assert back.state == (WAITING if left else FAILED)
        committed = at(back, (rules.pushed,), (rules.reported, 100, ""))


def test_restarts_without_progress_come_to_an_end():
    update, count = NEW, 0
    while update.state in rules.OPEN:
        update, count = at(update, (rules.informed, "1.0.0"), (rules.pushed,), (rules.reported, 0, "")), count + 1
        assert count < 100
    assert update.state == FAILED
    assert "no progress" in update.desc


def test_restarts_with_progress_go_on():
    update = NEW
    for step in range(1, 101):
        update = at(update, (rules.informed, "1.0.0"), (rules.pushed,), (rules.reported, step, ""))
    assert update.state == RUNNING


def test_device_that_falls_back_after_it_was_updated_has_failed():
    done = rules.informed(NEW, "1.1.0", 0)
    back = rules.informed(done, "1.0.0", 1)
    assert (back.state, back.desc, back.due) == (FAILED, "runs 1.0.0", None)
    for desc in ("1090", "1092"):
        assert rules.reported(back, -1, desc, 2).desc == desc


def test_reason_of_a_rollback_replaces_later_refusals():
    for order in itertools.permutations(["1090", "1031"]):
        update = at(NEW, (rules.pushed,), (rules.reported, 100, ""))
        for desc in order:
            update = rules.reported(update, -1, desc, 1)
        assert (update.state, update.desc) == (FAILED, "1090")


def test_reports_after_the_end_change_nothing_else():
    for end in (rules.informed(NEW, "1.1.0", 0), at(NEW, (rules.pushed,), (rules.reported, -3, "1007"))):
        for step, desc in ((50, ""), (100, ""), (-2, "1043"), (-1, "1029")):
            assert rules.reported(end, step, desc, 1) == end
