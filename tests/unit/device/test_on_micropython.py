"""Runs every file of this folder's tests on MicroPython too: the linuxhost board's interpreter."""
# SPDX-License-Identifier: MIT

import re
import subprocess
from pathlib import Path

import pytest

from otacore import BUILD, REPO

HERE = Path(__file__).parent
FILES = sorted(path.stem for path in HERE.glob("test_*.py") if path.stem != Path(__file__).stem)
INTERPRETER = BUILD / "linuxhost" / "micropython" / "firmware"


@pytest.fixture(scope="session")
def interpreter():
    """Built by make, which does nothing when it is up to date."""
    made = subprocess.run(
        ["make", "-C", REPO, "otaapp@linuxhost", f"OUT={BUILD}/unit/otaapp.img", "SERVER=127.0.0.1:18830"], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return INTERPRETER


@pytest.mark.parametrize("name", FILES)
def test_file_passes_on_micropython(name, interpreter, tmp_path):
    run = subprocess.run(
        [interpreter, HERE / "run.py", REPO, name], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    counts = re.search(r"^(\d+) passed, 0 failed$", run.stdout, re.M)
    assert run.returncode == 0 and counts, run.stdout + run.stderr
    assert int(counts[1]) == (HERE / f"{name}.py").read_text().count("\ndef test_")
