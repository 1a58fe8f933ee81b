"""What devices have said and the service has not heard yet."""
# SPDX-License-Identifier: MIT

import threading
from collections import OrderedDict, deque

from mpota import messages

UNHEARD_MAX = 16  # of one device's; it sends no more than an inform, an outcome, progress and a request in a row


class Inbox:
    """Each device is heard in its turn. Of its progress only the newest waits, and of all it says the newest UNHEARD_MAX."""

    def __init__(self):
        self._waiting = OrderedDict()  # (pk, dn): its messages
        self._change = threading.Condition()

    def put(self, topic, payload, answer=None):
        """From any thread. `answer` is a Future, or None; False if the device has asked too much for an answer."""
        device = tuple(topic.split("/")[4:])
        with self._change:
            mine = self._waiting.setdefault(device, deque())
            if mine and _replaces((topic, payload, answer), mine[-1]):
                mine.pop()
            if len(mine) == UNHEARD_MAX:
                oldest = next((said for said in mine if not said[2]), None)
                if answer or not oldest:
                    return False
                mine.remove(oldest)
            mine.append((topic, payload, answer))
            self._change.notify()
            return True

    def take(self, limit, timeout):
        """Waits for a message; then all there are, `limit` at most, or none."""
        taken = []
        with self._change:
            self._change.wait_for(lambda: self._waiting, timeout)
            while self._waiting and len(taken) < limit:
                device, mine = self._waiting.popitem(last=False)
                taken.append(mine.popleft())
                if mine:
                    self._waiting[device] = mine
        return taken


def _replaces(new, old):
    return not (new[2] or old[2]) and messages.is_progress(*new[:2]) and messages.is_progress(*old[:2])
