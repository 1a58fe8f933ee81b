"""What the server is told of an update: percent, and failures as code and words."""

# SPDX-License-Identifier: MIT
from micropython import const

from ota import reason

_PERCENT = const(5)


def call(callback, *args):
    """A callback of the application, whose OSError is its own: told, and none of the network or the flash."""
    try:
        callback(*args)
    except OSError as e:
        print("ota: callback:", repr(e))


class Report:
    """transport: where report(step, desc, qos) goes."""

    def __init__(self, transport):
        self._transport = transport
        self.percent = 0

    def begin(self):
        self.percent = 0

    def progress(self, done, total):
        """Tells the first percent, then every fifth; 100 is the commit's."""
        percent = max(done * 100 // total, 1)
        if percent >= self.percent + _PERCENT or not self.percent:
            self.percent = percent
            self._transport.report(min(percent, 99))

    def failure(self, code):
        """Returns whether the server has it."""
        step, words = reason.of(code)
        return self._transport.report(step, "%d %s" % (code, words), 1)

    def committed(self):
        try:
            self._transport.report(100, "", 1)
        except MemoryError:
            pass  # the new image's version tells as much
