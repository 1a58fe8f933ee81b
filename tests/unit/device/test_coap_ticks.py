"""A CoAP channel that works for weeks, on a board whose ticks_ms wraps at 2**30 as on every MicroPython of 32 bits."""

# SPDX-License-Identifier: MIT
from ota import native
from ota.transport import coap, coap_link

from wires import no_feed

DAY_MS = 86400000
MASK = (1 << 30) - 1
HALF = 1 << 29


class Ticks:
    def __init__(self):
        self.days = self.ms = 0

    def ticks_ms(self):
        return self.days * DAY_MS + self.ms & MASK

    def ticks_add(self, ticks, ms):
        return ticks + ms & MASK

    def ticks_diff(self, a, b):
        return (a - b + HALF & MASK) - HALF


class Message:
    code = 69  # content
    observe = 5
    block2 = -1


class Link:
    """A server that answers everything well, at the next poll."""

    message = Message()

    def __init__(self, *_):
        self.is_open = self.busy = False
        self.requests = 0
        self.is_login = True

    def open(self):
        self.is_open = True

    def payload(self):
        return b'{"token": "t"}' if self.is_login else b""

    def request(self, code, options, payload=b"", observe=False):
        self.busy = True
        self.is_login = self.requests == 0
        self.requests += 1

    def poll(self, wait_ms):
        if not self.busy:
            return 0
        self.busy = False
        return coap_link.RESPONSE


def test_channel_asks_on_every_day_of_a_month():
    real = coap.time, coap_link.Link
    coap.time, coap_link.Link = ticks, _ = Ticks(), Link
    try:
        channel = coap.Coap(("pk", "dn", "ds"), ("h", 1), (False, None), 300, (lambda p: None, lambda: channel.inform("1.0.0")), bytearray(2048), no_feed)
        for ticks.days in range(30):
            before = channel._link.requests
            for ticks.ms in range(0, DAY_MS, 60000):
                channel.poll()
            assert channel._link.requests - before > 200, ticks.days
    finally:
        coap.time, coap_link.Link = real


class Repeating(coap_link.Link):
    """What the server observed sends, always with the same message id; what is answered is counted."""

    def __init__(self):
        super().__init__(("h", 1), False, None, bytearray(2048), no_feed)
        self._observed = b"token"
        self._seen = []
        self.sends = False
        self.answered = 0

    def _receive(self):
        if not self.sends:
            return None
        message = native.coap_write(0, 69, 7, b"token", ((6, b"\5"),), b"{}")
        self.view[: len(message)] = message
        return len(message)

    def _write(self, message):
        self.answered += 1


def test_message_id_of_days_ago_is_a_new_message():
    real = coap_link.time
    coap_link.time = ticks = Ticks()
    try:
        link = Repeating()
        link.sends = True
        assert link.poll() == coap_link.NOTIFICATION
        ticks.ms = 246000
        assert link.poll() == coap_link.NOTHING  # a repetition, acknowledged once more
        assert link.answered == 2
        link.sends = False
        for ticks.days in range(1, 10):
            assert link.poll() == coap_link.NOTHING
        link.sends = True
        assert link.poll() == coap_link.NOTIFICATION
    finally:
        coap_link.time = real
