"""The OTA service: AliOS's `ota_service_t` and the seven steps of an update, advanced by poll().

    service = OtaService()
    service.pk, service.dn, service.ds = "a1...", "board-1", "secret"
    ota_service_init(service)
    while True:
        service.poll()
"""

# SPDX-License-Identifier: MIT
import time

from micropython import const

from ota import message, native, reason
from ota.slot import Slot
from ota.update import Update
from ota.verify import digestsign

MQTT = const(0)
COAP = const(1)
DOWNLOAD_COAP = const(1)
DOWNLOAD_HTTP = const(2)
DOWNLOAD_HTTPS = const(3)
SIGN_SHA256 = const(0)
SIGN_MD5 = const(1)
SIGN_RSA = const(2)

_REPORT_PERCENT = const(5)
_NET_TIMEOUT_MS = const(3000)
_LAST_DATA_FAULT = const(1011)
_E_SIZE = const(1003)
_E_OLD_VERSION = const(1010)
_E_METHOD = const(1023)
_E_URL = const(1026)
_E_BIG = const(1027)
_E_DECLINED = const(1028)
_E_BUSY = const(1029)
_E_TRIAL = const(1030)
_E_REJECTED = const(1031)
_E_NO_TLS = const(1045)
_E_VERSION = const(1051)
_E_ROLLBACK = const(1091)


class OtaService:
    """Fields named as in AliOS. Set them before ota_service_init.

    pk, ps, dn, ds: product key, product secret, device name, device secret.
    trans_protcol: MQTT or COAP. dl_protcol: https and coaps are always allowed where the board can verify a
    certificate; DOWNLOAD_HTTP allows http too, DOWNLOAD_COAP coap too.
    sign_type: SIGN_RSA requires digestsign (the default); SIGN_SHA256 and SIGN_MD5 check one that is there, and
    only SIGN_MD5 accepts MD5 digests. ota_ver: the running version, read from the image. sys_ver: MicroPython's.
    server: (host, port). tls: TLS to the broker, DTLS to the CoAP server. poll_s: how often a CoAP server is asked.
    auth_server: (host, port) that gives a device secret for the product secret, if ds is empty.
    accept_cb(notice) -> bool: the application's word on an update; progress_cb(done, total): bytes fetched.
    auto_confirm: confirm a trial as soon as the server has the inform. trial_timeout_s: a trial not confirmed
    by then ends in a reset.
    """

    def __init__(self, board=None, config=None):
        self.pk = self.ps = self.dn = self.ds = ""
        self.trans_protcol = MQTT
        self.dl_protcol = DOWNLOAD_HTTPS
        self.sign_type = SIGN_RSA
        self.dev_type = 0
        self.ota_ver = self.sys_ver = ""
        self.server = self.auth_server = None
        self.poll_s = 300
        self.tls = True
        self.accept_cb = self.progress_cb = None
        self.auto_confirm = True
        self.trial_timeout_s = 600
        self.inited = False
        self.last_error = 0
        self._board = board
        self._config = config
        self._transport = self._update = self._steps = self._inbox = None
        self._percent = 0

    @property
    def in_trial(self):
        return not self._active.confirmed

    @property
    def updating(self):
        return self._steps is not None

    def init(self):
        """Reads the slots and opens the channel; ota_service_init calls it."""
        if self.inited:
            raise RuntimeError("already initialised")
        import sys

        board = self._board
        self._buf = bytearray(board.flash.sector)
        slots = [Slot(board.flash, offset, size, self._buf) for offset, size in board.slots]
        self._active = slots[board.active]
        self._inactive = slots[1 - board.active]
        self._active.mend()
        self._read_version()
        self.sys_ver = "micropython-%d.%d.%d" % sys.implementation[1][:3]
        self._start_ms = time.ticks_ms()
        self._open_transport()
        self.inited = True

    def deinit(self):
        self._stop_update()
        self._transport.close()
        self._transport = None
        self.inited = False

    def poll(self):
        """One bounded piece of work. Returns True while an update is under way."""
        self._board.feed()
        self._transport.poll()
        if self._inbox is not None:
            payload, self._inbox = self._inbox, None
            self._notified(payload)
        if self._steps:
            self._advance()
        elif self.in_trial and time.ticks_diff(time.ticks_ms(), self._start_ms) > self.trial_timeout_s * 1000:
            self._say("trial not confirmed in time")
            self._board.reset()
        return self.updating

    def check(self):
        """Asks the server for an upgrade; it also tells on its own after every inform."""
        self._transport.request(self.ota_ver)

    def confirm(self):
        """The application's word that the running image works."""
        if not self.in_trial:
            return
        if not self._active.complete:
            self._active.commit(self._inactive.sequence + 1, self._counter)
        self._active.confirm()
        self._say("confirmed %s" % self.ota_ver)

    def rollback(self):
        """Gives up the image on trial and restarts into the confirmed one. OSError if there is nothing to go back to."""
        if not self.in_trial or not self._inactive.confirmed:
            raise OSError(_E_ROLLBACK)
        self._active.reject(_E_ROLLBACK)
        self._restart()

    def status(self):
        """A line for people."""
        state = "trial" if self.in_trial else "confirmed"
        work = "updating, %d %%" % self._percent if self.updating else "idle"
        link = "connected" if self._transport.connected else "not connected"
        return "%s %s, %s, %s" % (self.ota_ver, state, work, link)

    def _open_transport(self):
        from ota.transport import net

        net.install(self._config.CA if self._board.has_tls else None, _NET_TIMEOUT_MS)
        if not self.ds and self.ps:
            self._transport = self._registration()
        elif self.trans_protcol == COAP:
            self._transport = self._coap()
        elif self.trans_protcol == MQTT:
            self._transport = self._mqtt()
        else:
            raise ValueError("trans_protcol")

    def _registration(self):
        """Stands in for the channel until the device has its secret."""
        from ota.registration import Registration

        if not self._board.has_tls:
            raise OSError(_E_NO_TLS)
        return Registration((self.pk, self.dn, self.ps), self.auth_server, self._registered)

    def _registered(self, ds):
        self.ds = ds
        self._open_transport()

    def _coap(self):
        from ota.transport import coap

        server = self.server or coap.default_server(self.pk)
        identity = self.pk, self.dn, self.ds
        return coap.Coap(identity, server, self.tls, self._config.CA, self.poll_s, self._receive, self._connected)

    def _mqtt(self):
        from ota.transport.mqtt import Mqtt

        return Mqtt(
            (self.pk, self.dn, self.ds),
            self.server or self._config.server(self.pk),
            self.tls and self._board.has_tls,
            self._receive,
            self._connected,
        )

    def _read_version(self):
        """What the running image's header says. Its signature was the second boot's business."""
        state = bytearray(native.IMAGE_STATE)
        slot = self._active
        native.image_init(state, slot.room)
        slot.read_sector(slot.offset)
        native.image_push(state, self._buf, len(self._buf))
        version = native.image_info(state)[0]
        self.ota_ver = "%d.%d.%d" % version[:3] + ("+%d" % version[3] if version[3] else "")
        if not slot.complete:
            self._counter = self._read_counter(state)

    def _read_counter(self, state):
        """The security counter of a factory image, which no mark tells."""
        slot = self._active
        for offset in range(slot.offset + len(self._buf), slot.trailer, len(self._buf)):
            self._board.feed()
            slot.read_sector(offset)
            if native.image_push(state, self._buf, len(self._buf)) != len(self._buf):
                break
        return native.image_info(state)[1]

    def _receive(self, payload):
        self._inbox = payload

    def _connected(self):
        """After every connection: the version, then what the server does not know yet."""
        if not self._transport.inform(self.ota_ver):
            return
        if self.in_trial and self.auto_confirm:
            self.confirm()
        if self._inactive.unreported:
            step, words = reason.of(self._inactive.reason)
            if self._transport.report(step, "%d %s" % (self._inactive.reason, words), 1):
                self._inactive.report()

    def _notified(self, payload):
        try:
            notice = message.parse(payload)
            if notice:
                self._consider(notice)
        except OSError as e:
            self._refuse(e.errno)

    def _consider(self, notice):
        if self.updating:
            if notice.digest == self._update.notice.digest:
                return
            raise OSError(_E_BUSY)
        if self.in_trial:
            raise OSError(_E_TRIAL)
        new, old = message.numbers(notice.version), message.numbers(self.ota_ver)
        if new == old:
            return
        if new < old:
            raise OSError(_E_OLD_VERSION)
        if notice.size > self._inactive.room:
            raise OSError(_E_BIG)
        if notice.method == "MD5" and self.sign_type != SIGN_MD5:
            raise OSError(_E_METHOD)
        digestsign.check(notice, self._config.DIGEST_KEY, self.sign_type == SIGN_RSA or notice.method == "MD5", self._buf)
        if self._inactive.rejected and self._inactive.holds(int(notice.patch), notice.size, notice.digest):
            raise OSError(_E_REJECTED)
        source = self._source(notice)
        if self.accept_cb and not self.accept_cb(notice):
            raise OSError(_E_DECLINED)
        self._begin(notice, source)

    def _source(self, notice):
        if notice.url.startswith("coap"):
            return self._coap_source(notice)
        from ota.download import http

        plain = notice.url.startswith("http://")
        if not http.accepts(notice.url, self._board.has_tls) or (plain and self.dl_protcol != DOWNLOAD_HTTP):
            raise OSError(_E_URL)
        return http.Source(notice.url, notice.size)

    def _coap_source(self, notice):
        from ota.download import coap

        if notice.url.startswith("coap:") and self.dl_protcol != DOWNLOAD_COAP:
            raise OSError(_E_URL)
        return coap.Source(notice.url, notice.size, (self.pk, self.dn, self.ds), self._config.CA)

    def _begin(self, notice, source):
        config = self._config
        trust = (config.IMAGE_KEYS, config.VENDOR_ID, config.CLASS_ID)
        self._say("update to %s, %d bytes" % (notice.version, notice.size))
        self._update = Update(notice, source, self._active, self._inactive, trust, self._buf, self._progress)
        if self._update.resumes:
            self._say("fetch resumes at %d" % self._inactive.progress)
        self._steps = self._update.steps()
        self._percent = 0

    def _advance(self):
        try:
            next(self._steps)
        except StopIteration:
            self._say("committed, restarting")
            self._transport.report(100, "", 1)
            self._restart()
        except OSError as e:
            self._failed(e.errno)

    def _failed(self, code):
        self._stop_update()
        self._refuse(code)
        if 1000 < code <= _LAST_DATA_FAULT or code == _E_VERSION:
            # The bytes were as announced and will never be right: not to be fetched again.
            self._inactive.reject(code)
            self._inactive.report()

    def _stop_update(self):
        if self._steps:
            self._steps.close()
        self._steps = self._update = None

    def _refuse(self, code):
        step, words = reason.of(code)
        self.last_error = code
        self._say("refused: %s (%d)" % (words, code))
        self._transport.report(step, "%d %s" % (code, words), 1)

    def _progress(self, done, total):
        percent = max(done * 100 // total, 1)
        if percent >= self._percent + _REPORT_PERCENT or not self._percent:
            self._percent = percent
            self._transport.report(min(percent, 99))
        if self.progress_cb:
            self.progress_cb(done, total)

    def _restart(self):
        self._transport.close()
        self._board.reset()

    def _say(self, words):
        print("ota:", words)


def ota_service_init(ctx):
    """Starts the service. ctx: an OtaService with its fields set. Returns 0; errors are exceptions."""
    ctx.init()
    return 0


def ota_service_deinit(ctx):
    """Stops it; an update under way is dropped and resumes from its marks after the next init."""
    ctx.deinit()
    return 0
