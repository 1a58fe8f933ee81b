"""Every parser of outside bytes, fuzzed for a while; whatever was once found stays right."""

import pytest
import run
import seeds


@pytest.fixture(scope="module")
def outcomes():
    run.build()
    return {outcome.name: outcome for outcome in run.campaign(list(seeds.TARGETS), 20)}


@pytest.mark.parametrize("name", seeds.TARGETS)
def test_nothing_breaks_the_parser(outcomes, name):
    outcome = outcomes[name]
    assert outcome.status == 0, outcome.log[-4000:]
    assert outcome.runs > len(list(seeds.TARGETS[name]())), "no input but the first ones was tried"
    assert outcome.number(r" ft: (\d+)") > 100, "the target sees no coverage"


def test_an_exception_of_a_python_parser_is_a_find(outcomes, tmp_path):
    """The harness itself: a target that raises must not pass."""
    broken = tmp_path / "fuzz_broken.py"
    broken.write_text("def one(data):\n    if data[:1] == b'{':\n        raise ValueError('seen')\n")
    found = tmp_path / "input"
    found.write_bytes(b"{}")
    words, bad = run.replay("broken", found, MICROPYPATH=f"{tmp_path}:{run.environment()['MICROPYPATH']}",
                            ASAN_OPTIONS="detect_leaks=0:symbolize=0")
    assert bad and "ValueError: seen" in words
