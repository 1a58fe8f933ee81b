"""One life of a device: power cycles until every chapter of the scenario has ended as it must."""

# SPDX-License-Identifier: MIT
import sys

import _sim
import _starve
import clock
import server
from board import Board, Config, Cut, Reset
from oracle import CONSOLE, Oracle, Violation, words
from scenarios import COAP_DTLS, COAP_UDP, SCHEMES, SECURE

_CYCLES = 60  # power cycles a chapter may take
_POLLS = 3000  # polls a power cycle may take
_ASK = 400  # the application asks for updates every so many polls
_DAYS = 4  # boots without a network at the end
_QUIET_POLLS = 10
_OUTAGE_MS = 10_000  # what a poll takes meanwhile
_IDLE_MS = 100  # what an idle poll takes where memory is short


def _forget_modules():
    """A reset does: the next start imports them again."""
    for name in list(sys.modules):
        if name.split(".")[0] in ("ota", "umqtt", "urequests", "usocket", "ussl"):
            sys.modules.pop(name, None)  # one that there was no memory for has no value


class Life:
    """starved: (first, count): of the device's allocations that fail, until the next reset. Within a chapter it then has to get on without a power
    cycle."""

    def __init__(self, world, scenario, say=None, starved=None):
        self.world = world
        self._scenario = scenario
        self._config = Config(world)
        self._say = say
        self._starved = starved
        self.oracle = Oracle(world)
        self.server = server.now = server.Server(world)
        self.server.scheme = SCHEMES[scenario.channel]
        world.parameters = bytearray(b"\xff" * 2 * world.part["sector"])
        self._suspicious = False
        self._waits = False  # the second boot waits for a person
        self._outage_over = False
        self._chapter = None
        self._ended = None  # version that ran at the end of the last chapter
        if scenario.factory:
            image = world.offers[scenario.factory].data
            _sim.cells(False)[: len(image)] = image

    def run(self):
        for chapter in self._scenario.chapters:
            self._chapter = chapter
            offer = self.world.offers[chapter.offer] if chapter.offer else None
            self.server.tell(offer)
            self.server.instead = self.world.offers[offer.version] if self._starved and offer and offer.patch else None
            _sim.patch_area(self.world.patch_offset(offer))
            if chapter.setup:
                chapter.setup(self)
            self._until_end()
            if self.server.offer and self.server.ranges and not self.server.lied:
                self.oracle.fetched(self.server, self.server.offer.size)
        self._later()

    def _until_end(self):
        for _ in range(_CYCLES):
            if self._cycle():
                return
        raise Violation("%s never ran confirmed" % (self._chapter.ends or self._chapter.offer))

    def _later(self):
        """The next days: nobody answers, and nothing may change. Not where memory is short: they are power cycles."""
        self.server.offline = True
        for day in range(0 if self._starved else _DAYS):
            self._suspicious = day == 1
            self._cycle(_QUIET_POLLS)
        self.server.offline = False
        self._chapter.ends = self._ended
        self._chapter.told = ()
        self._until_end()
        self.oracle.looked_at()

    def _cycle(self, polls=_POLLS):
        """One power cycle. True if the chapter's end was reached in it."""
        self.oracle.looked_at()
        person = self.world.offers["1.0.0"].data if self._waits else None
        try:
            choice = _sim.boot(self._suspicious, person)
            if choice is None:
                raise Cut
            self._waits = choice[0] == CONSOLE and not self._scenario.factory
            if self._waits:
                return False
            image = self.oracle.booted(choice)
            if self._say:
                self._say("boot %d of slot %s, %s" % (choice[0], "AB"[choice[1]], image.version if image else "rotten"))
            fate = self._chapter.fate
            self._suspicious = not image or (fate == "hang" and image.version == self._chapter.offer)
            return not self._suspicious and self._work(choice[1], image, polls)
        except Cut:
            self._suspicious = False
            if self._say:
                self._say("CUT " + _sim.cut_words())
                for name, before in (("before", True), ("after", False)):
                    for slot in range(2):
                        self._say("    %s %s" % (name, words(self.oracle, slot, before)))
            return False

    def _work(self, slot, image, polls):
        """The image's part of a power cycle. True if the chapter's end was reached in it."""
        service = self._service(slot)
        is_new = image.version == self._chapter.offer
        service.auto_confirm = not (is_new and self._chapter.fate == "gives up")
        alone = is_new and self._chapter.fate == "alone" and not self._outage_over
        self.server.informed = None
        self.server.on_committed = lambda: self.oracle.committed(1 - slot)
        server.sockets = 0
        if alone:
            self.server.offline = True
            self.server.delivered = 0  # what it fetches again is no repetition
            self.oracle.outage(image)
        ended = False
        try:
            if self._starts(service):
                ended = self._serves(service, image, polls, alone)
        except Reset:
            self._outage_over = self._outage_over or alone
        except (OSError, MemoryError) as e:
            if self._say:
                sys.print_exception(e)
            raise Violation("the service raised " + repr(e))
        finally:
            if alone:
                self.server.offline = False
        return ended

    def _service(self, slot):
        if self._starved:
            _forget_modules()
        from ota.service import COAP, DOWNLOAD_COAP, DOWNLOAD_HTTP, MQTT, OtaService

        channel = self._scenario.channel
        service = OtaService(Board(self.world, slot, channel in SECURE), self._config)
        service.pk, service.dn, service.ds, service.ps = "pk", "dn", "" if channel in SECURE else "secret", "product's"
        service.auth_server = "peer", 443
        service.tls = channel in SECURE
        service.trans_protcol, service.dl_protcol = (COAP, DOWNLOAD_COAP) if channel in (COAP_UDP, COAP_DTLS) else (MQTT, DOWNLOAD_HTTP)
        return service

    def _starts(self, service):
        """Whether it does: without memory for it the application restarts. A reset gives the memory back."""
        from ota.service import ota_service_init

        if self._starved:
            _starve.arm(*(0, 0) if _starve.counts()[1] else self._starved)
        try:
            _starve.inside(ota_service_init)(service)
            return True
        except MemoryError:
            if not self._starved:
                raise
            return False

    def _serves(self, service, image, polls, alone):
        """True once the chapter has ended, False if it has not after these polls."""
        poll, check, rollback = _starve.inside(service.poll), _starve.inside(service.check), _starve.inside(service.rollback)
        for i in range(polls):
            if not poll() and self._starved:
                clock.sleep_ms(_IDLE_MS)
            self.oracle.check(server.sockets <= 1 + service.updating, "%d sockets were left open" % server.sockets)
            if alone:
                clock.sleep_ms(_OUTAGE_MS)
            if not service.in_trial:
                self.oracle.confirmed(image)
                if self._has_ended(service, image):
                    self._ended = image.version
                    return True
            if not service.auto_confirm and service.in_trial and self.server.informed:
                rollback()
            if (i + 1) % _ASK == 0:
                check()
        self.oracle.check(not self._starved, "nothing more came of it: " + service.status())
        return False

    def _has_ended(self, service, image):
        chapter = self._chapter
        if service.updating or self.server.informed != image.version:
            return False
        heard = any(code in chapter.told for _, code in self.server.failures)
        if chapter.ends:
            return image.version == chapter.ends and (heard or not chapter.told)
        return heard or image.version == chapter.offer
