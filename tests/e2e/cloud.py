"""A cloud that says what no honest server would: mosquitto, and Linkkit's messages written by hand."""
# SPDX-License-Identifier: MIT

import json
import queue
import threading
import time

import paho.mqtt.client as mqtt
from mpota.broker import Broker

WAIT_S = 20


class OtherBroker(Broker):
    """Not ours: it passes more than ours does."""

    message_max = 1 << 17


class Cloud:
    """devices: mpota.store.Device. certificates: mpota.pki.Certificates for the broker's TLS."""

    huge = 100_000

    def __init__(self, folder, certificates, devices):
        self._broker = OtherBroker(folder, "127.0.0.1", certificates)
        self._broker.start()
        self._reports = {}
        self._informs = {}
        self._changed = threading.Condition()
        self._pings = queue.Queue()  # a SimpleQueue can wait for ever once its time-out has passed (CPython 3.11)
        ready = threading.Event()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="cloud")
        self._client.username_pw_set(self._broker.service.user, self._broker.service.password)
        self._client.on_connect = lambda client, *_: client.subscribe([("/ota/device/+/+/+", 1)])
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = self._received
        self._client.connect("127.0.0.1", self._broker.port)
        self._client.loop_start()
        assert ready.wait(WAIT_S), "mosquitto does not let the service in"
        self._broker.set_devices(devices)

    @property
    def address(self):
        """HOST:PORT of the broker with TLS, as typed at a board's prompt."""
        return f"127.0.0.1:{self._broker.tls_port}"

    def stop(self):
        self._client.disconnect()
        self._client.loop_stop()
        self._broker.stop()

    def carries(self, payload):
        """Whether the channel brings this to the device at all."""
        return True

    def send(self, device, payload):
        """Publishes bytes on a device's upgrade topic; device: "pk/dn"."""
        self._client.publish(f"/ota/device/upgrade/{device}", payload, 1).wait_for_publish(WAIT_S)

    def reports(self, device):
        """All (step, desc) a device has reported so far."""
        self.flush()
        with self._changed:
            return list(self._reports.get(device, ()))

    def wait_report(self, device, start, test, timeout_s=WAIT_S):
        """Waits for a report, not before the one numbered `start`, for which test(step, desc) holds."""
        return self._wait(self._reports, device, start, lambda report: test(*report), timeout_s)

    def wait_inform(self, device, version, start=0, timeout_s=WAIT_S):
        return self._wait(self._informs, device, start, lambda found: found == version, timeout_s)

    def informs(self, device):
        self.flush()
        with self._changed:
            return list(self._informs.get(device, ()))

    def flush(self):
        """Returns when everything that devices had sent before has arrived here."""
        word = str(time.monotonic_ns()).encode()
        self._client.publish("/ota/device/request/ping/ping", word, 1)
        while self._pings.get(timeout=WAIT_S) != word:
            pass

    def _wait(self, table, device, start, test, timeout_s):
        def found():
            return next((entry for entry in table.get(device, ())[start:] if test(entry)), None)

        with self._changed:
            if not self._changed.wait_for(lambda: found() is not None, timeout_s):
                raise AssertionError(f"{device} did not say so: {table.get(device, ())[start:]}")
            return found()

    def _received(self, _client, _user, message):
        kind, device = message.topic.removeprefix("/ota/device/").split("/", 1)
        if device == "ping/ping":
            self._pings.put(message.payload)
            return
        if kind not in ("inform", "progress"):
            return
        params = json.loads(message.payload)["params"]
        with self._changed:
            if kind == "inform":
                self._informs.setdefault(device, []).append(params["version"])
            else:
                self._reports.setdefault(device, []).append((int(params["step"]), params["desc"]))
            self._changed.notify_all()
