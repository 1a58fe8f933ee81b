"""Power cuts inside the flash operations of a whole update on the emulated chip; `make prove` has more of them."""

import sys

import machine
import pytest

sys.path.insert(0, str(machine.REPO / "tests" / "sim"))

import emulated  # noqa: E402

_CUTS_IN_DATA = 2


@pytest.fixture(scope="module")
def story():
    with emulated.Scene(machine.BUILD / "cuts") as scene:
        made = scene.story("image")
        yield made
        made.close()


def test_update_survives_cuts_inside_commit_trial_confirm_and_fetch(story):
    assert story.operations > 12_000
    cuts = emulated.sample(story.operations, _CUTS_IN_DATA, 2)[emulated.HEAD :]
    phases = {emulated.phase(cut.operation, story.operations) for cut in cuts}
    assert phases == {"commit", "trial", "confirm", "fetch or install"}
    for cut in cuts:
        story.live(cut)
