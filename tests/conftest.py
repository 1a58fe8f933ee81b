"""Lets tests import the helpers beside them, and two processes share the work."""
# SPDX-License-Identifier: MIT

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

# What builds the linuxhost board's firmware, in the one place where it is built.
LINUXHOST = ("tests/coap/", "tests/e2e/", "tests/unit/device/test_on_micropython.py")


def pytest_xdist_make_scheduler(config, log):
    """A folder's tests share servers, boards and builds: they stay in one process."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFolder(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return "linuxhost" if nodeid.startswith(LINUXHOST) else nodeid.split("/")[1]

    return ByFolder(config, log)
