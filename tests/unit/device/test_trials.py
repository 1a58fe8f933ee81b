"""Trials: how one is confirmed, given up, and told of."""

# SPDX-License-Identifier: MIT
from ota.slot import IMAGE

from bench import Bench, begun, on_trial
from fakes import Board, Reset, clock, code_of


def test_connection_informs_and_confirms_the_trial():
    bench = Bench(confirmed=False)
    assert bench.service.in_trial
    bench.service._connected()
    assert bench.transport.informed == ["1.0.0"]
    assert not bench.service.in_trial
    slot = bench.board.slot(0)
    assert slot.confirmed and slot.counter == 5 and slot.sequence == 1


def test_trial_is_not_confirmed_when_the_inform_was_not_sent_or_the_application_does_it():
    bench = Bench(confirmed=False)
    bench.transport.online = False
    bench.service._connected()
    assert bench.service.in_trial
    bench = Bench(confirmed=False, auto_confirm=False)
    bench.service._connected()
    assert bench.service.in_trial
    bench.service.confirm()
    assert not bench.service.in_trial
    operations = bench.board.chip.operations
    bench.service.confirm()
    assert bench.board.chip.operations == operations


def test_confirm_that_cannot_be_written_is_reported_and_tried_again():
    bench = Bench(confirmed=False)
    bench.board.chip.broken = True
    bench.service._connected()
    assert bench.service.in_trial and bench.service.last_error == 1060
    bench.board.chip.broken = False
    bench.service._connected()
    assert not bench.service.in_trial


def test_confirm_without_memory_costs_the_connection_and_the_next_one_confirms():
    def short():
        raise MemoryError

    bench = Bench(confirmed=False)
    bench.service.confirm = short
    try:
        bench.service._connected()
        assert False, "the transport was not told"
    except MemoryError:
        pass
    del bench.service.confirm
    bench.service._connected()
    assert not bench.service.in_trial


def ends(bench):
    """Whether the next poll restarts the board."""
    try:
        bench.service.poll()
        return False
    except Reset:
        return True


def test_trial_that_nobody_confirms_ends_in_a_reset():
    bench = on_trial(auto_confirm=False, trial_timeout_s=60)
    bench.service._connected()
    bench.service.poll()
    clock.now += 59000
    assert not ends(bench)
    clock.now += 2000
    assert ends(bench) and not bench.board.slot(0).rejected
    bench.service.confirm()
    assert bench.service.poll() is False


def test_trial_that_reaches_no_server_has_failed_and_may_come_again():
    bench = on_trial(trial_timeout_s=60)
    clock.now += 61000
    assert ends(bench)
    assert bench.board.slot(0).reason == 1092
    bench.board.chip.broken = True
    assert ends(bench), "flash that fails does not hold it up"


def test_image_that_is_not_on_trial_is_not_given_up():
    """The second boot started it because nothing better was left."""
    bench = on_trial(tried=False, trial_timeout_s=60)
    clock.now += 61000
    assert ends(bench) and not bench.board.slot(0).rejected


def test_image_that_reached_no_server_is_fetched_anew_when_it_is_told_of():
    bench = begun()
    assert bench.finish()
    bench.slot.reject(1092)
    again = begun(board=bench.board)
    again.service._connected()
    assert again.transport.reports[0] == (-1, "1092 reached no server in its trial")
    assert again.finish() and again.slot.complete and not again.slot.rejected


def test_factory_image_waits_for_its_server_for_ever():
    bench = Bench(confirmed=False, trial_timeout_s=60)
    clock.now += 1000000
    assert not ends(bench) and not bench.board.slot(0).rejected


def test_rollback_is_reported_once_by_the_image_that_returned():
    board = Board()
    slot = board.slot(1)
    slot.begin(IMAGE, 100, b"digest")
    slot.commit(2, 6)
    slot.reject(1090)
    bench = Bench(board)
    bench.transport.online = False
    bench.service._connected()
    assert not bench.transport.informed, "the server would tell it of the next before it knows of the last"
    bench.transport.online = True
    bench.service._connected()
    bench.service._connected()
    assert bench.transport.reports == [(-1, "1090 not confirmed in its trials")] * 2  # the first was not heard
    assert len(bench.transport.informed) == 2


def test_rollback_goes_to_the_confirmed_slot_only():
    bench = Bench()
    assert code_of(bench.service.rollback) == 1093
    bench = Bench(confirmed=False)
    assert code_of(bench.service.rollback) == 1093
    bench = on_trial()
    try:
        bench.service.rollback()
        assert False
    except Reset:
        pass
    assert bench.board.slot(0).reason == 1091
