"""Linkkit's channel over CoAP (SPEC.md section 4), plain or over DTLS.

The device logs in, informs, and asks for an upgrade at once and then every `poll_s` seconds. Where the server lets
it observe the upgrade resource (RFC 7641) it is told without asking, and asking renews the observation.
"""

# SPDX-License-Identifier: MIT
import random
import time

from micropython import const

from ota import TROUBLE, forget, message
from ota.transport import coap_link
from ota.transport.coap_session import ACCEPT, CONTENT, CONTENT_FORMAT, GET, JSON, OCTETS, POST, Session

_OBSERVE = const(6)
_BACKOFF_MS = const(1000)
_BACKOFF_MAX_MS = const(64000)
_CLOSE_MS = const(2500)
_REPORTS = const(4)
_FRESH_MS = const(128000)
_HALF = const(0x800000)
_MORE = const(8)
_SUCCESS = const(2)
_SERVER_ERRORS = const(160)
_E_LONG = const(1021)

_LOGIN = const(1)
_INFORM = const(2)
_REPORT = const(3)
_REQUEST = const(4)
_OBSERVATION = const(5)


class Coap:
    """As Mqtt. identity: (pk, dn, ds). server: (host, port). security: (whether DTLS, its CA certificate). poll_s: how
    often to ask. callbacks: on_message(payload) gets each upgrade message, on_connect(). buf, feed: the link's.

    Only the look for the server's name blocks: what cannot be told at once is told later. on_connect() is called after every login and again
    whenever an inform or an outcome has arrived; inform() and report(..., 1) then say True for it."""

    def __init__(self, identity, server, security, poll_s, callbacks, buf, feed):
        self._session = Session(identity)
        self._link = coap_link.Link(server, *security, buf, feed)
        self._poll_ms = poll_s * 1000
        self._on_message, self._on_connect = callbacks
        self._version = self._informed = self._delivered = None
        self._reports = []
        self._doing = 0
        self._observes = True
        self._sequence = -1
        self._sequence_ms = 0
        self._backoff_ms = 0
        self._next_ms = self._due_ms = time.ticks_ms()

    @property
    def connected(self):
        return self._session.token is not None

    def poll(self):
        try:
            self._step(0)
        except TROUBLE as e:
            self.lost(e)

    def inform(self, version):
        """Whether the server has this version; if not, it is on its way."""
        self._version = version
        return self._informed == version

    def request(self, version):
        """Asks the server whether there is an upgrade; the answer comes as a message."""
        self._version = version
        self._due_ms = time.ticks_ms()
        return True

    def report(self, step, desc="", qos=0):
        """Progress; the last of several not yet sent counts. qos 1: an outcome; whether the server has it."""
        if qos and self._delivered == (step, desc):
            return True
        report = step, desc, qos
        if qos and report in self._reports:
            return False
        if self._reports and not self._reports[-1][2] and not (self._doing == _REPORT and len(self._reports) == 1):
            self._reports.pop()
        if len(self._reports) < _REPORTS:
            self._reports.append(report)
        return False

    def close(self):
        """Ends the channel; what is on its way gets a moment to arrive."""
        end = time.ticks_add(time.ticks_ms(), _CLOSE_MS)
        try:
            while self.connected and (self._reports or self._doing == _REPORT) and time.ticks_diff(end, time.ticks_ms()) > 0:
                self._step(20)
        except TROUBLE:
            pass
        self._link.close()
        self._session.token = None

    def _step(self, wait_ms):
        now = time.ticks_ms()
        if not self._link.is_open:
            if time.ticks_diff(self._next_ms, now) > 0:
                return
            self._link.open()
        event = self._link.poll(wait_ms)
        if event == coap_link.NOTIFICATION:
            self._notified()
        elif event == coap_link.CUT_NOTIFICATION:
            self._too_long()
        elif event:
            doing, self._doing = self._doing, 0
            if event == coap_link.CUT:
                self._too_long()
                self._pause("answer too long")
            else:
                self._answered(doing)
        if not self._link.busy:
            self._next(now)

    def _next(self, now):
        """Begins what is most urgent."""
        if time.ticks_diff(self._next_ms, now) > 0:
            return
        self._next_ms = now  # or after six days it would seem to lie ahead
        if not self.connected:
            self._doing = _LOGIN
            self._session.login(self._link)
        elif self._version is not None and self._informed != self._version:
            self._post(_INFORM, b"inform", message.inform(self._version))
        elif self._version is not None and time.ticks_diff(self._due_ms, now) <= 0:
            self._ask(now)  # whatever becomes of the reports
        elif self._reports:
            step, desc, _ = self._reports[0]
            self._post(_REPORT, b"progress", message.progress(step, desc))

    def _ask(self, now):
        if self._observes:
            self._doing = _OBSERVATION
            options = (_OBSERVE, 0), self._session.path(b"upgrade"), (ACCEPT, JSON)
            self._link.request(GET, self._session.signed(options), observe=True)
        else:
            self._post(_REQUEST, b"request", message.inform(self._version))
        jitter = self._poll_ms // 4 + 1
        self._due_ms = time.ticks_add(now, self._poll_ms - jitter // 2 + random.getrandbits(16) * jitter // 65536)

    def _post(self, doing, name, text):
        self._doing = doing
        options = self._session.path(name), (CONTENT_FORMAT, JSON), (ACCEPT, OCTETS)
        self._link.request(POST, self._session.signed(options), text.encode())

    def _answered(self, doing):
        code = self._link.message.code
        if doing == _REPORT and code >= _SERVER_ERRORS and not self._reports[0][2]:
            self._reports.pop(0)  # the next one tells as much
        if doing == _LOGIN:
            self._logged_in()
        elif self._session.refused(code):
            self._informed = None
            if doing in (_REQUEST, _OBSERVATION):
                self._due_ms = time.ticks_ms()
            self._pause("token refused, %s" % _dotted(code))
        elif code >= _SERVER_ERRORS:
            self._pause("server fails, %s" % _dotted(code))
        elif doing == _INFORM and code >> 5 != _SUCCESS:
            self._pause("inform refused, %s" % _dotted(code))
        elif doing == _INFORM:
            self._informed = self._version
            self._on_connect()
        elif doing == _REPORT:
            self._backoff_ms = 0
            self._reported(self._reports.pop(0))
        elif doing == _OBSERVATION and (code != CONTENT or self._link.message.observe < 0):
            self._observes = False  # this server does not push: ask in Linkkit's way, now
            self._due_ms = time.ticks_ms()
        elif code == CONTENT:
            if not self._reports:  # or a server that takes none of them would be asked without a pause
                self._backoff_ms = 0
            self._observed()
            self._deliver()

    def _logged_in(self):
        if self._session.accept(self._link):
            self._due_ms = time.ticks_ms()
            self._on_connect()
        else:
            self._pause("login refused, %s" % _dotted(self._link.message.code))

    def _reported(self, report):
        step, desc, qos = report
        if qos:
            self._delivered = step, desc
            self._on_connect()
            self._delivered = None

    def _observed(self):
        self._sequence = self._link.message.observe
        self._sequence_ms = time.ticks_ms()

    def _notified(self):
        found = self._link.message
        if found.code != CONTENT or found.observe < 0:
            self._due_ms = time.ticks_ms()  # the observation is over; begin another
            self._pause("observation ended, %s" % _dotted(found.code))
            return
        ahead = found.observe - self._sequence & 0xFFFFFF
        if not 0 < ahead < _HALF and time.ticks_diff(time.ticks_ms(), self._sequence_ms) < _FRESH_MS:
            return  # older than what we know (RFC 7641 3.4)
        self._observed()
        self._deliver()

    def _too_long(self):
        from ota import reason

        step, words = reason.of(_E_LONG)
        print("ota: refused: %s (%d)" % (words, _E_LONG))
        self.report(step, "%d %s" % (_E_LONG, words), 1)

    def _deliver(self):
        block2 = self._link.message.block2
        payload = bytes(self._link.payload())
        if block2 >= 0 and block2 & _MORE:
            self._too_long()
        elif payload:
            self._on_message(payload)

    def lost(self, e):
        forget()
        self._link.close()
        self._doing = 0
        self._session.token = self._informed = self._delivered = None
        self._pause(e)

    def _pause(self, why):
        """The next attempt comes later each time."""
        self._backoff_ms = min(self._backoff_ms * 2 or _BACKOFF_MS, _BACKOFF_MAX_MS)
        wait = self._backoff_ms // 2 + random.getrandbits(10) * self._backoff_ms // 2048
        self._next_ms = time.ticks_add(time.ticks_ms(), wait)
        print("ota: no server,", why)


def default_server(pk):
    """(host, port) at the cloud, for DTLS."""
    return pk + ".coap.cn-shanghai.link.aliyuncs.com", 5684


def _dotted(code):
    return "%d.%02d" % (code >> 5, code & 31)
