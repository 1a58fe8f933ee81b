"""Mosquitto as a child process, with users, rights and TLS generated from the store's devices."""
# SPDX-License-Identifier: MIT

import contextlib
import secrets
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from mpota import child, linkkit, ports, storage
from mpota.errors import ToolError, os_error

SERVICE_USER = "mpota-service"
START_S = 10
STOP_S = 5
_ATTEMPTS = 5  # a free port may be taken by somebody else before mosquitto binds it
_SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/opt/homebrew/sbin"


@dataclass(frozen=True)
class Login:
    """A name and password."""

    user: str
    password: str


class Broker:
    """Writes mosquitto's files into `folder`, starts and stops it."""

    message_max = 1 << 13  # bytes; what devices and service tell each other has 2 KiB

    def __init__(self, folder, bind, certificates):
        self.folder = Path(folder)
        self.bind = bind
        self.host = "127.0.0.1" if bind == "0.0.0.0" else bind
        self.port = self.tls_port = 0
        self.service = Login(SERVICE_USER, secrets.token_hex(16))
        self._certificates = certificates
        self._process = None
        self._reread = threading.Event()
        self.refused = 0  # logins, so far
        self._mosquitto = _program("mosquitto")
        self._mosquitto_passwd = _program("mosquitto_passwd")
        storage.make_folder(self.folder, 0o700)

    def start(self, port=0, tls_port=0):
        """Starts mosquitto and waits until it accepts connections. It knows no device yet."""
        self._write_users([])
        for attempt in range(_ATTEMPTS):
            self.port = ports.probe(self.bind, port)
            self.tls_port = ports.probe(self.bind, tls_port)
            try:
                return self._start()
            except ToolError:
                self.stop()
                if attempt == _ATTEMPTS - 1 or (port and tls_port):
                    raise

    def set_devices(self, devices):
        """Lets these devices log in from now on, and no others: of those connected these stay so."""
        self._write_users(devices)
        self._reread.clear()
        self._process.send_signal(signal.SIGHUP)
        self._wait(self._reread.is_set, "does not read its files again")

    def check(self):
        """Raises ToolError if mosquitto has ended."""
        if self._process.poll() is not None:
            raise ToolError("mosquitto", f"ended with status {self._process.returncode}{self._last_words()}")

    def stop(self):
        """Ends mosquitto; does nothing if it does not run."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)
        self._process.kill()
        self._process.wait()
        self._process = None

    def _start(self):
        config = self.folder / "mosquitto.conf"
        storage.write(config, self._config().encode(), 0o600)
        try:
            self._process = subprocess.Popen(
                [self._mosquitto, "-c", config], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                text=True, errors="replace", preexec_fn=child.die_with_parent(), process_group=0,
            )  # fmt: skip
        except OSError as error:
            raise os_error(error.filename or self._mosquitto, error) from error
        self._error = ""
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr,), daemon=True)
        self._reader.start()
        self._wait(lambda: all(ports.accepts(self.host, port) for port in (self.port, self.tls_port)), "does not listen")
        self.check()

    def _wait(self, condition, what):
        deadline = time.monotonic() + START_S
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise ToolError("mosquitto", f"{what} after {START_S} s{self._last_words()}")
            time.sleep(0.05)

    def _read(self, log):
        """What there is to know of mosquitto's log; the rest, which has no end, is kept nowhere."""
        with log:
            for line in log:
                said = line.lstrip("0123456789: ").strip()  # behind the time; what follows "Client " may be any name that a peer logs in with
                if said.startswith("Error"):
                    self._error = said
                self.refused += said.endswith("disconnected, not authorised.")
                if said.startswith("Reloading config"):  # it does so before it takes the next connection
                    self._reread.set()

    def _config(self):
        # `user` counts only where root starts mosquitto: it must go on reading these files, which are root's.
        return f"""\
user root
persistence false
allow_anonymous false
password_file {self.folder.absolute()}/passwords
acl_file {self.folder.absolute()}/acl
log_dest stderr
log_type error
log_type warning
log_type notice
log_type information
max_queued_messages 32768
max_queued_bytes 67108864
set_tcp_nodelay true
message_size_limit {self.message_max}
retain_available false
listener {self.port} {self.bind}
use_username_as_clientid true
listener {self.tls_port} {self.bind}
use_username_as_clientid true
certfile {self._certificates.server.absolute()}
keyfile {self._certificates.server_key.absolute()}
tls_version tlsv1.2
"""

    def _write_users(self, devices):
        logins = [Login(linkkit.user_name(d.pk, d.dn), linkkit.password(d.pk, d.dn, d.secret)) for d in devices]
        logins.append(self.service)
        lines = "".join(f"{login.user}:{login.password}\n" for login in logins)
        fresh = self.folder / "passwords.new"
        storage.write(fresh, lines.encode(), 0o600)
        self._hash_passwords(fresh, len(logins))
        storage.write(self.folder / "acl", _rights(devices).encode(), 0o600)
        try:
            fresh.replace(self.folder / "passwords")
        except OSError as error:
            raise os_error(fresh, error) from error

    def _hash_passwords(self, path, count):
        done = subprocess.run([self._mosquitto_passwd, "-U", path], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ToolError(path, f"mosquitto_passwd: {_last_line(done.stderr + done.stdout) or 'failed'}")
        if storage.read(path).count(b"\n") != count:  # it says nothing of a full disk
            raise ToolError(path, "mosquitto_passwd: did not write all of it")

    def _last_words(self):
        if self._process.poll() is not None:
            self._reader.join()
        return f" ({self._error})" if self._error else ""


def _program(name):
    path = shutil.which(name) or shutil.which(name, path=_SEARCH)
    if path is None:
        raise ToolError(name, "not found; on Debian: apt-get install mosquitto")
    return path


def _rights(devices):
    """Each device has its own topics; the service has everybody's."""
    lines = [f"user {SERVICE_USER}"]
    lines += [f"topic read /ota/device/{kind}/+/+" for kind in ("inform", "progress")]
    lines += ["topic write /ota/device/upgrade/+/+", "topic readwrite /ota/device/request/+/+"]
    for device in devices:
        names = f"{device.pk}/{device.dn}"
        lines += ["", f"user {linkkit.user_name(device.pk, device.dn)}"]
        lines += [f"topic write /ota/device/{kind}/{names}" for kind in ("inform", "progress")]
        lines += [f"topic read /ota/device/upgrade/{names}", f"topic readwrite /ota/device/request/{names}"]
        lines += [f"topic readwrite /sys/{names}/#"]  # Linkkit reports other things there
    return "\n".join(lines) + "\n"


def _last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
