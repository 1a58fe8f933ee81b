"""The OTA service: AliOS's `ota_service_t` and the seven steps of an update, advanced by poll(). README.md has an example."""

# SPDX-License-Identifier: MIT
import time

from micropython import const

from ota import TROUBLE, channel, forget, reason
from ota.channel import COAP, MQTT
from ota.report import Report, call
from ota.rules import DOWNLOAD_COAP, DOWNLOAD_HTTP, DOWNLOAD_HTTPS, SIGN_MD5, SIGN_RSA, SIGN_SHA256
from ota.slot import Slot

_BUF = const(2048)  # bytes: the smallest sector of all boards, and what RSA works in
_RULES = ("rules", "verify.digestsign", "verify")
_E_DECLINED = const(1028)
_E_VERSION = const(1051)
_E_MEMORY = const(1062)
_E_ROLLBACK = const(1091)
_E_ALONE = const(1092)
_E_NO_WAY_BACK = const(1093)


class OtaService:
    """Fields named as in AliOS. Set them before ota_service_init.

    pk, ps, dn, ds: product key and secret, device name and secret. trans_protcol: MQTT or COAP. dl_protcol: https and coaps are always allowed;
    DOWNLOAD_HTTP allows http too, DOWNLOAD_COAP coap. sign_type: SIGN_RSA requires digestsign (the default); SIGN_SHA256 checks one that is there, if
    there is a key; SIGN_MD5 accepts MD5 digests, too. ota_ver: the running version, from the image. sys_ver: MicroPython's. server: (host, port).
    tls: to the broker, or DTLS to the CoAP server. poll_s: how often a CoAP server is asked. auth_server: (host, port) that gives a device secret for
    the product's, if ds is empty. accept_cb(notice) -> bool: the application's word. progress_cb(done, total): bytes fetched; of a patch that is the
    first half, the image's bytes the second; its OSError is told only. auto_confirm: confirm a trial as soon as the server has the inform.
    trial_timeout_s: an unconfirmed one ends in a reset, or, if no server was reached, as a failed one; not where there is nothing to go back to."""

    def __init__(self, board=None, config=None):
        self.pk = self.ps = self.dn = self.ds = self.ota_ver = self.sys_ver = ""
        self.trans_protcol = config.PROTOCOL if config else MQTT
        self.dl_protcol = DOWNLOAD_HTTPS
        self.sign_type = config.SIGN_TYPE if config else SIGN_RSA
        self.dev_type = self.last_error = self._turn = 0
        self.server = self.auth_server = self.accept_cb = self.progress_cb = None
        self.poll_s, self.trial_timeout_s = 300, 600
        self.tls, self.auto_confirm, self.inited = True, True, False
        self._board, self._config = board, config
        self._transport = self._report = self._update = self._steps = self._inbox = None

    @property
    def in_trial(self):
        return not self._active.confirmed

    @property
    def updating(self):
        return self._steps is not None

    def init(self):
        """Reads the slots and opens the channel; ota_service_init calls it."""
        import sys

        if self.inited:
            raise RuntimeError("already initialised")
        board = self._board
        from ota import rules, running

        rules.of(self, board, self._config)  # ValueError if a field is wrong
        self._buf = bytearray(_BUF)
        slots = [Slot(board.flash, offset, size, self._buf) for offset, size in board.slots]
        self._active, self._inactive = slots[board.active], slots[1 - board.active]
        self._active.mend()
        self.ota_ver, self._counter = running.read(self._active, board.feed)
        forget("running", *_RULES)
        self.sys_ver = "micropython-%d.%d.%d" % sys.implementation.version[:3]
        self._start_ms, self._inbox, self._alone = time.ticks_ms(), None, True
        self._open_transport()
        self.inited = True

    def deinit(self):
        self._check_inited()
        self._stop_update()
        self._transport.close()
        self.inited = False

    def poll(self):
        """One bounded piece of work. Returns True while an update is under way. A trial wants it, or the board's feed(), each second."""
        self._check_inited()
        self._board.feed()
        self._turn = self._turn + 1 & 7
        if not self._steps or not self._turn:  # to look for a message takes as long as to fetch a part
            self._transport.poll()
        if self._inbox is not None:
            self._notified()
        if self._steps:
            self._advance()
        elif self.in_trial and self._inactive.confirmed and time.ticks_diff(time.ticks_ms(), self._start_ms) > self.trial_timeout_s * 1000:
            self._say("trial not confirmed in time")
            if self._alone and self._active.tried:  # not the image's fault, perhaps: it may be fetched again
                self._mark(self._active, _E_ALONE)
            self._board.reset()
        return self.updating

    def check(self):
        """Asks the server for an upgrade; it also tells on its own after every inform."""
        self._transport.request(self.ota_ver)

    def confirm(self):
        """The application's word that the running image works."""
        if not self.in_trial:
            return
        self._active.confirm()
        if not self._active.complete:  # a factory image; last, or a cut would leave a trial with nothing to go back to
            self._active.commit(self._inactive.sequence + 1, self._counter)
        self._say("confirmed %s" % self.ota_ver)

    def rollback(self):
        """Gives up the image on trial and restarts into the confirmed one. OSError if there is nothing to go back to."""
        if not self.in_trial or not self._inactive.confirmed:
            raise OSError(_E_NO_WAY_BACK)
        self._active.reject(_E_ROLLBACK)
        self._restart()

    def status(self):
        """A line for people."""
        work = "updating, %d %%" % self._report.percent if self.updating else "idle"
        return "%s %s, %s, %sconnected" % (self.ota_ver, ("confirmed", "trial")[self.in_trial], work, "" if self._transport.connected else "not ")

    def _check_inited(self):
        if not self.inited:
            raise RuntimeError("not initialised")

    def _open_transport(self):
        transport = channel.transport(self, self._board, self._config, (self._receive, self._connected, self._registered), self._buf)
        self._report, self._transport = Report(transport), transport  # both or none

    def _registered(self, ds):
        self.ds = ds
        self._open_transport()

    def _receive(self, payload):
        self._inbox = payload

    def _connected(self):
        """After every connection: what the server does not know yet of the last update, then the version, which brings the next."""
        self._alone = False
        if self._inactive.unreported:
            if not self._report.failure(self._inactive.reason):
                return
            self._mark(self._inactive)
        if self._transport.inform(self.ota_ver) and self.in_trial and self.auto_confirm:
            try:
                self.confirm()
            except OSError as e:  # without memory for it the connection is lost, and the next one confirms
                self._refuse(e)

    def _notified(self):
        try:
            notice = self._judge()
            if notice:
                self._begin(notice)
        except TROUBLE as e:
            self._refuse(e)

    def _judge(self):
        """Returns the notice in the inbox, or None if there is nothing to begin."""
        payload, self._inbox = self._inbox, None
        try:
            from ota import rules

            judge = rules.of(self, self._board, self._config).judge
            return judge(payload, self._update and self._update.notice, self.ota_ver, self._active, self._inactive, self._buf)
        finally:
            forget("notice", *_RULES)

    def _begin(self, notice):
        if self.accept_cb and not self.accept_cb(notice):
            raise OSError(_E_DECLINED)
        from ota.update import Update

        source = channel.source(self, self._board, self._config, notice, self._buf)
        trust = (self._config.IMAGE_KEYS, self._config.VENDOR_ID, self._config.CLASS_ID)
        self._say("update to %s, %d bytes" % (notice.version, notice.size))
        update = Update(notice, source, self._active, self._inactive, trust, self._buf, self._board.patch_state, self._progress)
        if update.resumes:
            installed = self._inactive.installed
            self._say("install resumes at %d" % installed if installed else "fetch resumes at %d" % self._inactive.progress)
        self._steps, self._update = update.steps(), update  # both or none, even if there is no memory for it
        self._report.begin()

    def _advance(self):
        try:
            next(self._steps)
        except StopIteration:
            self._say("committed, restarting")
            self._report.committed()
            self._restart()
        except BaseException as e:
            self._stop_update()  # or the next poll would take its end for success
            if not isinstance(e, TROUBLE):
                raise
            self._failed(e)

    def _failed(self, e):
        told, code = self._refuse(e), self.last_error
        if 1000 < code < 1020 or code == _E_VERSION or 1070 <= code < 1080:
            # the bytes were as announced and will never be right: not to be fetched again
            if self._mark(self._inactive, code) and told:
                self._mark(self._inactive)

    def _mark(self, slot, code=0):
        """Rejected with a code, reported without. Returns whether the flash took it; the server is told if not."""
        try:
            slot.reject(code) if code else slot.report()
            return True
        except TROUBLE as e:
            self._refuse(e)

    def _stop_update(self):
        steps, self._steps, self._update = self._steps, None, None
        if steps:
            steps.close()

    def _refuse(self, e):
        self.last_error = code = _E_MEMORY if isinstance(e, MemoryError) else e.errno or _E_MEMORY
        try:
            self._say("refused: %s (%d)" % (reason.of(code)[1], code))
            return self._report.failure(code)
        except MemoryError as e:
            self._transport.lost(e)  # the next connection brings the update again

    def _progress(self, done, total):
        self._report.progress(done, total)
        if self.progress_cb:
            call(self.progress_cb, done, total)

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
