"""What tests of the host share: the command, a running server, a device."""
# SPDX-License-Identifier: MIT

import contextlib
import io
import json
import queue
import signal
import ssl
import subprocess
import sys
import time
import unittest.mock
from pathlib import Path

import paho.mqtt.client as mqtt

from mpota import cli, linkkit, messages

ROOT = Path(__file__).resolve().parents[2]
PK, DN, SECRET = "a1B2c3D4e5F", "dev01", "0123456789abcdef0123456789abcdef"
BOARD = """\
[chip]
name = "none"
[flash]
size = 0x40000
sector = 0x1000
[slots]
a = { offset = 0, size = 0x20000 }
b = { offset = 0x20000, size = 0x10000 }
[parameters]
offset = 0x30000
size = 0x2000
[image]
header_size = 0x200
vendor = "example.org"
"""
LIMIT = 0x10000 - 0x1000
PAYLOAD = bytes(range(256)) * 100


def tool(*args, **options):
    """Runs a program; its output is text."""
    return subprocess.run([str(arg) for arg in args], capture_output=True, text=True, timeout=30, check=False, **options)


def mpota_process(*args, **options):
    """Runs the command as a process."""
    return tool(sys.executable, "-m", "mpota", *args, **options)


def mpota(*args):
    """Runs the command in this process, which starts faster; not for threads."""
    output, errors = io.StringIO(), io.StringIO()
    command = ["mpota", *(str(arg) for arg in args)]
    with unittest.mock.patch.object(sys, "argv", command), contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            cli.main()
        except SystemExit as end:
            status = end.code or 0
    return subprocess.CompletedProcess(command, status, output.getvalue(), errors.getvalue())


def mpota_json(*args):
    """What the command prints with --json."""
    done = mpota(*args, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def console_script(name):
    """A program of this Python environment."""
    return Path(sys.executable).parent / name


def until(condition, seconds=10):
    """Waits until condition() is true, and returns what it gave."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return result


@contextlib.contextmanager
def serving(state, *options):
    """`mpota serve` as a process; gives (process, what server.json says)."""
    command = [sys.executable, "-m", "mpota", "serve", "--state", str(state), "--json", *options]
    # A test reads the events when the service has ended, which waits while they do not fit.
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pipesize=1 << 20) as process:
        try:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            assert json.loads(line) == json.loads((Path(state) / "server.json").read_text())
            yield process, json.loads(line)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


class FakeDevice:
    """A Linkkit client that does what a test tells it."""

    def __init__(self, pk=PK, dn=DN, secret=SECRET):
        self.pk, self.dn = pk, dn
        self.inbox = queue.Queue()
        self._answers = queue.Queue()
        client_id = f"{pk}.{dn}|securemode=2,timestamp=2524608000000,signmethod=hmacsha256,gw=0,ext=0|"
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, reconnect_on_failure=False)
        self.client.username_pw_set(linkkit.user_name(pk, dn), linkkit.password(pk, dn, secret))
        self.client.on_connect = lambda _c, _u, _f, reason, _p: self._answers.put(not reason.is_failure)
        self.client.on_subscribe = lambda *_: self._answers.put(True)
        self.client.on_message = lambda _c, _u, message: self.inbox.put(message)

    def connect(self, server, tls=True):
        """Logs in; returns whether it was let in."""
        if tls:
            self.client.tls_set_context(ssl.create_default_context(cafile=server["ca"]))
        self.client.connect(server["host"], server["mqtts_port" if tls else "mqtt_port"])
        self.client.loop_start()
        return self._answers.get(timeout=10)

    def subscribe(self, topic=None):
        """To its upgrade topic unless told otherwise."""
        self.client.subscribe(topic or messages.topic("upgrade", self.pk, self.dn), 0)
        self._answers.get(timeout=10)

    def inform(self, version):
        """Says which version it runs, as AliOS does: with the C string's end."""
        self._publish("inform", b'{"id":0,"params":{"version":"%s"}}\0' % version.encode())

    def progress(self, step, desc=""):
        """Reports, as AliOS does: with a space, the step as text."""
        self._publish("progress", b'{"id":0,"params":{"step": "%d","desc":"%s"}}\0' % (step, desc.encode()))

    def request(self, version):
        """Asks for an upgrade."""
        self._publish("request", b'{"id":"7","params":{"version":"%s"}}' % version.encode())

    def _publish(self, kind, payload):
        self.client.publish(messages.topic(kind, self.pk, self.dn), payload, 1).wait_for_publish(10)

    def upgrade(self, seconds=10):
        """The data of the next upgrade message."""
        message = json.loads(self.inbox.get(timeout=seconds).payload)
        assert (message["code"], message["message"]) == ("1000", "success")
        return message["data"]

    def close(self):
        """Goes away."""
        self.client.disconnect()
        self.client.loop_stop()
