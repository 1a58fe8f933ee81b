"""The power-cut campaign on small geometries, and what makes a campaign worth its name."""

import re

import campaign
import pytest
import seeded
import starved

QUICK_FAULTS = ("commit written before verify", "tried mark written after the jump", "a message that there is no memory for stops the service")
ALLOCATIONS = 60  # one in so many


@pytest.fixture(scope="module")
def prover():
    made = campaign.Prover(campaign.BUILD / "prove")
    made.folder.mkdir(parents=True, exist_ok=True)
    made.build()
    return made


@pytest.fixture(scope="module")
def journal(prover, tmp_path_factory):
    return campaign.Journal(tmp_path_factory.mktemp("prove") / "journal.sqlite", prover.fingerprint())


@pytest.fixture(scope="module")
def totals(prover, journal):
    return campaign.campaign(prover, list(campaign.SMALL), campaign.DEPTHS["small"], journal)


@pytest.mark.parametrize("board", campaign.SMALL)
def test_a_cut_never_bricks(totals, board):
    assert totals[board].failures == []


@pytest.mark.parametrize("board", campaign.SMALL)
def test_cuts_fall_where_it_matters(totals, board):
    total = totals[board]
    assert list(total.faults(campaign.NEEDED, 100)) == []
    assert len(total.shapes) == 16  # five of a program, nine of an erase, and both may fail without a cut


def test_campaign_that_was_stopped_does_nothing_twice(prover, journal, totals, monkeypatch):
    monkeypatch.setattr(campaign.Prover, "run", lambda *_: pytest.fail("ran a task again"))
    again = campaign.campaign(prover, list(campaign.SMALL), campaign.DEPTHS["small"], journal)
    assert {board: (total.lives, len(total.states)) for board, total in again.items()} == {
        board: (total.lives, len(total.states)) for board, total in totals.items()
    }


def test_no_failing_allocation_stops_an_update(prover, journal):
    stories = starved.campaign(prover, starved.STORIES, ALLOCATIONS, journal)
    assert [failure for _, _, failures in stories.values() for failure in failures] == []
    for story, (made, lives, _) in stories.items():
        assert made > 1000 and lives >= len(starved.COUNTS) * (made // ALLOCATIONS), story


def test_id_replays_a_life_without_memory_in_words(prover):
    failed, words = prover.replay("esp8266/tiny/patch/m1200.3000")
    assert not failed
    assert "memory allocation failed" in words and re.search(r"^boot 2 of slot B, 1\.1\.9$", words, re.MULTILINE), words


def test_campaign_that_misses_a_step_is_none(totals):
    total = campaign.Total(operations=1, phases={"install": 1, "commit": 1, "trial": 1})
    assert list(total.faults(campaign.NEEDED, 0)) == ["no cut fell inside confirm", "0 distinct states are not more than 0"]


def test_id_replays_a_life_in_words(prover):
    failed, words = prover.replay("esp8266/tiny/image/33.3.7")
    assert not failed
    found = re.search(r"^CUT operation 33, program of 16 bytes at 0x3\w+ of slot B \(commit\): all was programmed$", words, re.MULTILINE)
    assert found, words
    assert re.search(r"before B: started x2 \(image of \d+\), progress \d+$", words, re.MULTILINE), words
    assert re.search(r"after B: started x2 \(image of \d+\), progress \d+, complete x1 \(sequence 2, counter 2\)", words), words


@pytest.mark.parametrize("fault", seeded.FAULTS, ids=lambda fault: fault.name)
def test_fault_can_still_be_seeded(fault, tmp_path):
    """`make prove` looks for all of them; here they must at least fit the code."""
    seeded.copy_with(fault, tmp_path / "copy")


@pytest.mark.parametrize("fault", [fault for fault in seeded.FAULTS if fault.name in QUICK_FAULTS], ids=lambda fault: fault.name)
def test_seeded_fault_is_found_and_its_id_replays_it(prover, fault):
    failure = seeded.find(fault, seeded.FAULTS.index(fault) + 1)
    assert failure, "the campaign did not notice"
    failed, words = seeded.prover_of(fault, seeded.FAULTS.index(fault) + 1).replay(failure[0])
    assert failed and failure[1] in words
    assert not prover.replay(failure[0])[0], "the code without the fault fails too"
