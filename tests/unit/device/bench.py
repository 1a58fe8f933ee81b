"""A service in a test's hands."""

# SPDX-License-Identifier: MIT
from ota.service import OtaService, ota_service_init
from ota.slot import IMAGE

from fakes import Board, Config, Reset, Source, Transport, fields, image, payload


class Bench:
    """A service on a board, with its transport and the artifact's source in the test's hands."""

    def __init__(self, board=None, confirmed=True, **options):
        self.board = board or Board(confirmed)
        self.service = OtaService(self.board, Config())
        self.service.pk, self.service.dn, self.service.ds = "pk", "dn", "ds"
        for name in options:
            setattr(self.service, name, options[name])
        self.transport = Transport()
        self.service._open_transport = self.open
        self.source = Source(image("new"))
        self.said = []
        self.service._say = self.said.append
        assert ota_service_init(self.service) == 0

    def open(self):
        from ota.report import Report

        self.service._transport = self.transport
        self.service._report = Report(self.transport)

    def tell(self, data):
        """Delivers a message and polls once; returns the refusal's code."""
        self.service.last_error = 0
        self.service._receive(data)
        self.service.poll()
        return self.service.last_error

    def update(self, name="new", data=None):
        """Tells of an artifact; its bytes come from self.source."""
        code = self.tell(payload(data or fields(name)))
        if self.service.updating:
            self.service._update._source = self.source
        return code

    def begin(self):
        """The same, and nothing is fetched yet."""
        advance, self.service._advance = self.service._advance, lambda: None
        code = self.update()
        self.service._advance = advance
        return code

    def finish(self):
        """Polls until the update ends; True if the board restarted."""
        for _ in range(5000):
            try:
                if not self.service.poll():
                    return False
            except Reset:
                return True
        raise AssertionError("no end")

    @property
    def slot(self):
        return self.board.slot(1)

    def steps(self):
        return [step for step, desc in self.transport.reports]


def begun(**options):
    """A bench with an update accepted but nothing fetched: its first step needs a source."""
    bench = Bench(**options)
    assert bench.begin() == 0 and bench.service.updating
    return bench


def on_trial(tried=True, **fields):
    """A board whose running image is on trial, and the other one confirmed."""
    bench = Bench(confirmed=False, **fields)
    if tried:
        bench.board.slot(0)._append(ord("T"), 1, 0, bytes(6), 1)  # as the second boot does
    slot = bench.slot
    slot.begin(IMAGE, 100, b"digest")
    slot.commit(1, 5)
    slot.confirm()
    return Bench(bench.board, **fields)
