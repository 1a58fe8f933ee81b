"""tools/setup: what was installed for another tree is not taken for this one's."""
# SPDX-License-Identifier: MIT

import shutil

from .helpers import ROOT, tool


def test_environment_of_a_copied_tree_is_made_anew(tmp_path):
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    (tmp_path / "build").mkdir()
    shutil.copy(ROOT / "build" / ".venv", tmp_path / "build")
    (tmp_path / "build" / "venv").symlink_to(ROOT / "build" / "venv")  # which it says it will not replace
    done = tool(tmp_path / "tools" / "setup", env={"PATH": "/usr/bin:/bin", "MICROPY_DIR": str(tmp_path)})
    assert done.returncode == 1 and done.stderr == "setup: build/venv is a link; it would be made anew\n"
