"""Linkkit's channel over MQTT 3.1.1, through umqtt.simple (SPEC.md section 4)."""

# SPDX-License-Identifier: MIT
import random
import time

from micropython import const
from umqtt.simple import MQTTClient, MQTTException

from ota import forget, message
from ota.transport import linkkit

_KEEPALIVE_S = const(60)
_PING_MS = const(20000)
_BACKOFF_MS = const(1000)
_BACKOFF_MAX_MS = const(16000)
_UNHEARD_MAX = const(2)  # pings without an answer
_ETIMEDOUT = const(110)
_ECONNRESET = const(104)


def default_server(pk):
    """(host, port) at the cloud, without TLS."""
    return pk + ".iot-as-mqtt.cn-shanghai.aliyuncs.com", 1883


class _Client(MQTTClient):
    def _recv_len(self):
        """umqtt.simple reads a length without end; MQTT 3.1.1 section 2.2.3 allows four bytes."""
        n = 0
        for shift in (0, 7, 14, 21):
            b = self.sock.read(1)[0]
            n |= (b & 0x7F) << shift
            if b < 0x80:
                return n
        raise OSError(_ECONNRESET)


class Mqtt:
    """identity: (pk, dn, ds). server: (host, port). secure: TLS. on_message(payload) gets each upgrade message,
    on_connect() is called after every (re)connection.

    poll() does one bounded step: it reconnects with growing pauses and reads at most one message."""

    def __init__(self, identity, server, secure, on_message, on_connect):
        self._pk, self._dn, self._ds = identity
        self._server = server
        self._secure = secure
        self._on_message = on_message
        self._on_connect = on_connect
        self._client = None
        self._backoff_ms = 0
        self._next_ms = time.ticks_ms()
        self._alive_ms = 0

    @property
    def connected(self):
        return self._client is not None

    def poll(self):
        now = time.ticks_ms()
        try:
            if not self._client:
                if time.ticks_diff(self._next_ms, now) <= 0:
                    if self._try(self._connect):
                        self._on_connect()
            elif self._try(self._client.check_msg) and time.ticks_diff(now, self._alive_ms) > _PING_MS:
                self._alive_ms = now
                self._backoff_ms = 0  # it lasted
                self._try(self._ping)
        except MemoryError as e:
            self.lost(e)  # what was not said is said after the next connection

    def inform(self, version):
        return self._publish("inform", message.inform(version), 1)

    def request(self, version):
        """Asks the server whether there is an upgrade; the answer comes as a message."""
        try:
            return self._publish("request", message.inform(version), 1)
        except MemoryError as e:
            self.lost(e)  # the next connection asks, too
            return False

    def report(self, step, desc="", qos=0):
        """Progress. qos 1 waits until the broker has it; returns whether it was sent."""
        try:
            return self._publish("progress", message.progress(step, desc), qos)
        except MemoryError as e:
            self.lost(e)
            return False

    def close(self):
        if self._client:
            client = self._client
            try:
                self._try(client.disconnect)
            except MemoryError:
                client.sock.close()
            self._client = None

    def _topic(self, name):
        return "/ota/device/%s/%s/%s" % (name, self._pk, self._dn)

    def _connect(self):
        host, port = self._server
        client = _Client(
            linkkit.client_id(self._pk, self._dn, self._secure),
            host,
            port,
            linkkit.user_name(self._pk, self._dn),
            linkkit.password(self._pk, self._dn, self._ds),
            _KEEPALIVE_S,
            self._secure,
            {"server_hostname": host} if self._secure else {},
        )
        client.set_callback(self._receive)
        try:
            client.connect(clean_session=False)
            client.subscribe(self._topic("upgrade"))
            client.subscribe(self._topic("request"), 1)
        except BaseException:
            if client.sock:
                client.sock.close()
            raise
        client.client_id = client.user = client.pswd = None  # said once; the next connection is another client's
        self._client = client
        self._alive_ms = time.ticks_ms()

    def _ping(self):
        sock = self._client.sock
        if sock.unheard == _UNHEARD_MAX:
            raise OSError(_ETIMEDOUT)  # what is between may keep the connection long after the broker is gone
        sock.unheard += 1
        self._client.ping()

    def _receive(self, topic, payload):
        self._on_message(payload)

    def _publish(self, name, text, qos):
        if not self._client:
            return False
        return self._try(self._client.publish, self._topic(name), text, False, qos)

    def _try(self, action, *args):
        """umqtt tells trouble in several ways; all of them end the connection and start the back-off."""
        if self._client:
            self._client.sock.restart()
        try:
            action(*args)
            return True
        except (OSError, MemoryError, MQTTException, AssertionError, IndexError, TypeError) as e:
            self.lost(e)
            return False

    def lost(self, e):
        forget()  # modules that there was no memory for
        if self._client:
            try:
                self._client.sock.close()
            except OSError:
                pass
            self._client = None
        self._backoff_ms = min(self._backoff_ms * 2 or _BACKOFF_MS, _BACKOFF_MAX_MS)
        self._next_ms = time.ticks_add(time.ticks_ms(), self._backoff_ms // 2 + random.getrandbits(10) * self._backoff_ms // 2048)
        print("ota: broker refuses," if type(e) is MQTTException else "ota: no broker,", e)
