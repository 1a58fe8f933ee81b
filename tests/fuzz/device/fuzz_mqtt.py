"""The MQTT channel over what a broker sends. Input: the bytes that come at a time, then all that is sent."""

# SPDX-License-Identifier: MIT
import sys

from fuzz_http import _Socket
from ota.transport.mqtt import Mqtt

_STEPS = 20
_PAYLOAD_MAX = 2064


def one(data):
    if not data:
        return
    _Socket.data, _Socket.at, _Socket.step = data[1:], 0, data[0] + 1

    def deliver(payload):
        if len(payload) > _PAYLOAD_MAX:
            raise ValueError("a message that was not bounded")

    channel = Mqtt(("pk", "dn", "secret"), ("peer", 1883), False, deliver, lambda: channel.inform("1.0.0"))
    for _ in range(_STEPS):
        channel.poll()
    channel.close()
