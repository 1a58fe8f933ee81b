"""What every board's MicroPython can run: the ESP8266's lacks some of what CPython and the Linux port have."""
# SPDX-License-Identifier: MIT

import ast

import pytest

from otacore import REPO

FILES = sorted([*(REPO / "ota").rglob("*.py"), *(REPO / "otaapp").glob("*.py")])
MISSING = {"partition", "rpartition", "splitlines", "center", "crc32", "randint", "randrange", "choice", "factorial"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPO)))
def test_nothing_is_used_that_the_esp8266_has_not(path):
    used = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    assert not used & MISSING


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPO)))
def test_file_is_small(path):
    assert len(path.read_text().splitlines()) <= 250
