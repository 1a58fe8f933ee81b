"""The host's tables are those of SPEC.md."""
# SPDX-License-Identifier: MIT

import re

from mpota import codes, image

from .helpers import ROOT

SPEC = (ROOT / "SPEC.md").read_text()


def test_error_codes_are_those_of_the_spec():
    rows = re.findall(r"^\| (\d{4}) \| (E_\w+) \| (-\d) \| (.*?) \|$", SPEC, re.MULTILINE)
    assert {int(code): (name, int(step), reason) for code, name, step, reason in rows} == codes.CODES


def test_tlvs_are_those_of_the_spec():
    rows = re.findall(r"^\| (0x\w\w) \| (\w+) \| (protected|unprotected) \|", SPEC, re.MULTILINE)
    ours = [(tag, name, "protected" if protected else "unprotected") for tag, (name, protected, _) in image.TLVS.items()]
    assert [(int(tag, 16), name, area) for tag, name, area in rows] == ours
