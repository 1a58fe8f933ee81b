"""`mpota serve --chaos SEED`: a server and a network that misbehave, to test boards with.

Datagrams are lost, doubled, late and damaged. Files come late, damaged, cut short, or with another status; blocks over CoAP
with another code, number, length or entity tag. Notifications are lost, told twice, or wrong. A board must refuse every lie and
get there: to this server no refusal is final. The seed decides what happens to the first, the second, the n-th notification,
file, block and datagram; which of them is the n-th is up to the board.
"""
# SPDX-License-Identifier: MIT

import asyncio
import base64
import json
import logging
import random

from aiocoap import Message
from aiocoap.numbers import codes

from mpota.noise import Noise, damage

FILE_FAULTS = ("delay", "corrupt", "cut", "status")
NOTICE_FAULTS = ("drop", "twice", "garbage", "digest", "digestsign", "size", "url")
BLOCK_FAULTS = ("code", "number", "length", "tag")
FILE_RATE, NOTICE_RATE, BLOCK_RATE = 0.25, 0.4, 0.004
DELAY_S = 1.5


class Cut(Exception):
    """Ends a connection in mid-answer."""


class Chaos:
    """All that goes wrong at one server. `on_fault(where, what)` is told of every fault that is no datagram's."""

    def __init__(self, seed, on_fault):
        streams = (random.Random(f"{seed} {name}") for name in ("files", "notices", "blocks"))
        self._files, self._notices, self._blocks = streams
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
            "digestsign": {"digestsign": base64.b64encode(base64.b64decode(data["digestsign"])[::-1]).decode()},
            "size": {"size": 1 << 30},
            "url": {"url": "gopher://nowhere/"},
        }
        data.update(wrong[fault])
        return json.dumps(message).encode()

    def block(self, response):
        """What is sent instead of an artifact's block over CoAP, an aiocoap Message."""
        if self._blocks.random() >= BLOCK_RATE:
            return response
        fault = self._blocks.choice(BLOCK_FAULTS)
        self._on_fault("block", fault)
        if fault == "code":
            return Message(code=codes.SERVICE_UNAVAILABLE)
        if fault == "number":
            response.opt.block2 = (response.opt.block2[0] + 1, *response.opt.block2[1:])
        elif fault == "length":
            response.payload = response.payload[: len(response.payload) // 2]
        else:
            response.opt.etag = self._blocks.randbytes(8)
        return response

    def files(self, app):
        """An ASGI application that answers as `app` does, or wrongly."""
        logging.getLogger("uvicorn.error").addFilter(_is_no_cut)

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
                message = {**message, "body": damage(body, self._files)}
            elif body and fault == "cut":
                if sent:
                    raise Cut
                sent += len(body)
                message = {**message, "body": body[: len(body) // 2], "more_body": True}
            await send(message)

        return faulty


def _is_no_cut(record):
    return not (record.exc_info and record.exc_info[0] is Cut)
