"""`mpota serve --chaos SEED`: a server and a network that misbehave, the same way for the same seed, to test boards with.

Datagrams are lost, doubled, late and damaged. Files come late, damaged, cut short, or with another status. Notifications
are lost, told twice, or wrong. A board must refuse every lie and get there: to this server no refusal is final.
"""
# SPDX-License-Identifier: MIT

import asyncio
import json
import random

from mpota.noise import Noise

FILE_FAULTS = ("delay", "corrupt", "cut", "status")
NOTICE_FAULTS = ("drop", "twice", "garbage", "digest", "digestsign", "size", "url")
FILE_RATE, NOTICE_RATE = 0.25, 0.4
DELAY_S = 1.5


class Chaos:
    """All that goes wrong at one server. `on_fault(where, what)` is told of every fault that is no datagram's."""

    def __init__(self, seed, on_fault):
        self._files, self._notices = (random.Random(f"{seed} {name}") for name in ("files", "notices"))
        self._on_fault = on_fault
        self.noise = Noise(f"{seed} datagrams", drop=0.05, duplicate=0.05, delay=0.05, corrupt=0.0002)

    def notices(self, payload):
        """What is sent instead of an upgrade message: a list of payloads."""
        if self._notices.random() >= NOTICE_RATE:
            return [payload]
        fault = self._notices.choice(NOTICE_FAULTS)
        self._on_fault("notification", fault)
        if fault in ("drop", "twice"):
            return [payload] * (2 if fault == "twice" else 0)
        return [payload[: len(payload) // 2] if fault == "garbage" else self._lie(payload, fault)]

    def _lie(self, payload, fault):
        message = json.loads(payload)
        data = message["data"]
        if not data:
            return payload
        wrong = {
            "digest": {"sign": self._notices.randbytes(len(data["sign"]) // 2).hex()},
            "digestsign": {"digestsign": data["digestsign"][::-1]},
            "size": {"size": 1 << 30},
            "url": {"url": "gopher://nowhere/"},
        }
        data.update(wrong[fault])
        return json.dumps(message).encode()

    def files(self, app):
        """An ASGI application that answers as `app` does, or wrongly."""

        async def wrapped(scope, receive, send):
            path = scope.get("path", "")
            if scope["type"] != "http" or not path.endswith(".bin") or self._files.random() >= FILE_RATE:
                return await app(scope, receive, send)
            fault = self._files.choice(FILE_FAULTS)
            self._on_fault("file", fault)
            if fault == "delay":
                await asyncio.sleep(self._files.uniform(0, DELAY_S))
                return await app(scope, receive, send)
            return await app(scope, receive, self._faulty(send, fault))

        return wrapped

    def _faulty(self, send, fault):
        sent = 0

        async def faulty(message):
            nonlocal sent
            body = message.get("body", b"")
            if fault == "status" and message["type"] == "http.response.start":
                message = {**message, "status": 503}
            elif body and fault == "corrupt":
                message = {**message, "body": self.noise.damage(body)}
            elif body and fault == "cut":
                if sent:
                    raise ConnectionAbortedError("chaos")
                sent += len(body)
                message = {**message, "body": body[: len(body) // 2], "more_body": True}
            await send(message)

        return faulty
