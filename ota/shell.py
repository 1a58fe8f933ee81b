"""The `# ` prompt: AliOS's commands for bringing a board to its server, on a serial line or a terminal.

The shell never blocks: poll() takes what was typed and lets the service work.
"""

# SPDX-License-Identifier: MIT
import select
import sys
import time

from micropython import const

from ota import settings
from ota.service import COAP, DOWNLOAD_COAP, DOWNLOAD_HTTP, DOWNLOAD_HTTPS, MQTT, OtaService, ota_service_init

_LINE_MAX = const(256)
_ALONE_MS = const(600000)
_E_NO_TLS = const(1045)
_DOWNLOADS = {"https": DOWNLOAD_HTTPS, "http": DOWNLOAD_HTTP, "coap": DOWNLOAD_COAP}
_IDENTITY = ("pk", "dn", "ds", "ps")
_USAGE = """usage: OTA_APP pk dn ds ps

Make sure network is ready to get IP address.
  $1, Product Key.
  $2, Device Name.
  $3, Device Secret; "" registers the device.
  $4, Product Secret."""
_HELP = """help                        this list
sysver                      versions of image and MicroPython
netmgr                      state of the network
netmgr connect SSID PASSWD  join a network, now and after a restart
netmgr clear                forget the network
OTA_APP PK DN DS PS         start the update service, now and after a restart
ota status                  state of the update service
ota check                   ask the server for an upgrade
ota confirm                 the image on trial works
ota rollback                give up the image on trial
ota server [SCHEME://]HOST:PORT
                            the server to use instead of the firmware's: mqtt
                            or coap, with TLS mqtts, coaps; without a scheme as
                            the firmware is configured, with TLS if it has it
ota download SCHEME         what may be fetched from besides https and coaps:
                            http, coap, or https for neither
ota auth HOST:PORT          where to register
reboot                      restart the board
Ctrl-C                      leave to Python"""


class Shell:
    """board: see PORTING.md. config: the firmware's constants. echo: True on a serial line without line editing."""

    def __init__(self, board, config, echo):
        self._board = board
        self._config = config
        self._echo = echo
        self._scheme = ("coap" if config.PROTOCOL == COAP else "mqtt") + ("s" if board.has_tls else "")
        self._settings = settings.load(board)
        self._line = bytearray()
        self._input = select.poll()
        self._input.register(sys.stdin, select.POLLIN)
        self.service = None
        self._start_ms = time.ticks_ms()
        self._alone = False

    def start(self):
        """Joins the network and starts the service, if they were ever told how."""
        if "ssid" in self._settings:
            self._call("netmgr", self._join)
        if all(key in self._settings for key in _IDENTITY):
            self._call("OTA_APP", self._start_service)
        print("# ", end="")

    def poll(self):
        """One bounded step: what was typed, up to the end of a line, then the service's.
        Returns whether an update is under way."""
        if not self._given_up():
            self._board.feed()
        for _ in range(_LINE_MAX):
            if not self._input or not self._input.poll(0):
                break
            c = sys.stdin.buffer.read(1)
            if not c:
                self._input = None  # no terminal: the board goes on alone
            elif self._typed(c[0]):
                break
        return self.service.poll() if self.service else False

    def _given_up(self):
        """Whether no service came to be in ten minutes. An image on trial that cannot start one is a failed one: the watchdog, which
        only a trial has, then brings back the other."""
        if self.service:
            self._alone = False
        elif time.ticks_diff(time.ticks_ms(), self._start_ms) > _ALONE_MS:
            self._alone = True  # for good: ticks wrap
        return self._alone

    def _typed(self, c):
        """Takes one byte; returns True if it ended a line."""
        if c in (10, 13):
            if self._echo:
                print()
            self._end_line()
            return True
        if c in (8, 127):
            if self._line and self._echo:
                print("\b \b", end="")
            self._line = self._line[:-1]
        elif len(self._line) <= _LINE_MAX:
            self._line.append(c)
            if self._echo:
                print("%c" % c, end="")  # chr() would keep each for ever

    def _end_line(self):
        line, self._line = self._line, bytearray()
        words = None
        if len(line) <= _LINE_MAX:
            try:
                words = _words(str(line, "utf-8"))
            except ValueError:  # UnicodeError is one
                pass
        if words is None:
            print("line too long, or not UTF-8")
        else:
            self._run(words)
        print("# ", end="")

    def _run(self, words):
        if not words:
            return
        command = {
            "help": self._help,
            "sysver": self._sysver,
            "netmgr": self._netmgr,
            "OTA_APP": self._ota_app,
            "ota": self._ota,
            "reboot": self._reboot,
        }.get(words[0])
        if not command:
            print("%s: no such command; try help" % words[0])
            return
        self._call(words[0], command, words[1:])

    def _call(self, name, command, *args):
        try:
            command(*args)
        except OSError as e:
            from ota import reason

            print("%s: %s (%s)" % (name, reason.of(e.errno)[1], e.errno))
        except (ValueError, TypeError) as e:  # a driver's: whatever is kept, the prompt must come, where it is mended
            print("%s: %r" % (name, e))

    def _keep(self, changes):
        self._settings = settings.change(self._board, changes)

    def _help(self, words):
        print(_HELP)

    def _sysver(self, words):
        print(self._config.BOARD, self.service.ota_ver if self.service else "", sys.version)

    def _reboot(self, words):
        self._board.reset()

    def _netmgr(self, words):
        if len(words) == 3 and words[0] == "connect" and 0 < len(words[1].encode()) <= 32 and len(words[2].encode()) <= 64:
            self._keep({"ssid": words[1], "password": words[2]})
            self._join()
        elif words == ["clear"]:
            self._keep({"ssid": None, "password": None})
        elif words:
            print("usage: netmgr [connect SSID PASSWD | clear]")
        else:
            print(self._board.network_status()[1])

    def _join(self):
        self._board.network_connect(self._settings["ssid"], self._settings.get("password", ""))
        print(self._board.network_status()[1])

    def _ota_app(self, words):
        names = "".join(words[:2]).encode()  # each character of a text would be kept for ever
        good = all(48 <= b < 58 or 65 <= b & 0xDF <= 90 or b in b"_.:@-" for b in names)
        if len(words) != 4 or not good or not 0 < len(words[0]) <= 20 or not 0 < len(words[1]) <= 32:
            print(_USAGE)
            return
        if not words[2] and not self._board.has_tls:
            raise OSError(_E_NO_TLS)  # before the identity that works is forgotten
        self._keep(dict(zip(_IDENTITY, words)))
        print("Hello OTA.")
        self._start_service()

    def _start_service(self):
        if self.service:
            service, self.service = self.service, None
            service.deinit()
        service = OtaService(self._board, self._config)
        service.pk, service.dn, service.ds = self._settings["pk"], self._settings["dn"], self._settings["ds"]
        service.ps = self._settings["ps"]
        has_tls = self._board.has_tls
        scheme, service.server = self._server(self._settings.get("server", "")) or (self._scheme, None)
        service.tls = scheme.endswith("s")
        service.trans_protcol = COAP if scheme.startswith("coap") else MQTT
        download = self._settings.get("download", "http" if scheme == "mqtt" or not has_tls else "https")
        service.dl_protcol = _DOWNLOADS.get(download, DOWNLOAD_HTTPS)
        auth = self._server(self._settings.get("auth", ""))
        service.auth_server = auth[1] if auth else None
        ota_service_init(service)
        self.service = service

    def _server(self, text):
        return _server(text, self._scheme, self._board.has_tls)

    def _ota(self, words):
        name, value = words if len(words) == 2 else ("", "")
        if self._server(value) if name in ("server", "auth") else name == "download" and value in _DOWNLOADS:
            self._keep({name: value})
            if self.service:
                print("from the next OTA_APP or reboot on")
        elif words not in (["status"], ["check"], ["confirm"], ["rollback"]):
            print("usage: ota status | check | confirm | rollback")
            print("       ota server [SCHEME://]HOST:PORT | download SCHEME | auth HOST:PORT")
        elif not self.service:
            print("not started; use OTA_APP")
        elif words[0] == "status":
            print(self.service.status())
        else:
            getattr(self.service, words[0])()


def _words(line):
    """The words of a line; double quotes hold one together or make an empty one."""
    words = []
    for i, part in enumerate(line.split('"')):
        if i & 1:
            words.append(part)
        else:
            words.extend(part.split())
    return words


def _server(text, scheme, has_tls):
    """"[scheme://]host:port" as (scheme, (host, port)), or None. scheme: if the text has none."""
    if "://" in text:
        scheme, text = text.split("://", 1)
    colon = text.rfind(":")
    if scheme not in ("mqtt", "mqtts", "coap", "coaps") or (scheme == "mqtts" and not has_tls):
        return None
    if colon < 1 or "/" in text or not text[colon + 1 :].isdigit() or not 0 < int(text[colon + 1 :]) < 65536:
        return None
    return scheme, (text[:colon], int(text[colon + 1 :]))
