"""Child processes that must not outlive us."""
# SPDX-License-Identifier: MIT

import ctypes
import functools
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent():
    """For Popen's preexec_fn: Linux ends the child when the thread that started it ends, even if it was killed."""
    if sys.platform != "linux":
        return None
    return functools.partial(ctypes.CDLL(None).prctl, _PR_SET_PDEATHSIG, signal.SIGTERM)
