"""The codes in words are those of SPEC.md section 5."""

# SPDX-License-Identifier: MIT
from ota import reason

from fakes import ROOT


def stated():
    rows = {}
    with open(ROOT + "/SPEC.md") as f:
        for line in f:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) == 4 and cells[1].startswith("E_"):
                rows[int(cells[0])] = int(cells[2]), cells[3]
    return rows


def test_every_code_has_the_step_and_words_of_the_spec():
    rows = stated()
    assert len(rows) > 30
    for code in rows:
        assert reason.of(code) == rows[code], code


def test_the_device_knows_no_other_code():
    rows = stated()
    for code in range(1000, 1200):
        assert (reason.of(code)[1] == "error") == (code not in rows), code


def test_an_errno_of_the_system_is_a_failed_upgrade():
    for code in (110, -1, -29312, None):
        assert reason.of(code) == (-1, "error")


def test_code_and_words_fit_the_description_of_a_report():
    for code, (step, words) in stated().items():
        assert len("%d %s" % (code, words)) <= 64, code
