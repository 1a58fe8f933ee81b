"""A release that goes wrong stops at the first boards, and a good one reaches all of a fleet; `make fleet` is the same with a thousand."""
# SPDX-License-Identifier: MIT

import pytest

from e2e import fleet

BOARDS = 24


@pytest.mark.parametrize("channel", fleet.SCHEMES)
def test_fleet(channel):
    said = []
    fleet.story(BOARDS, channel, said.append)
    assert len(said) == 3
