"""Runs on MicroPython, told what to do by a line of JSON: fetches by CoAP, or keeps Linkkit's channel over CoAP open."""
# SPDX-License-Identifier: MIT

import hashlib
import json
import select
import sys
import time
from binascii import unhexlify

from ota.download import coap as download
from ota.transport import coap, coap_link

RETRIES = 8
BUF = 2048


def no_feed(blocking=False):
    pass


def tell(**facts):
    print(json.dumps(facts))


def fetch(url, size, identity=("a1B2c3D4e5F", "dev01", "secret"), ca="", offset=0, retries=RETRIES, part=BUF):
    """As Update does it: from a mark on, again after a lost connection, from nothing if the artifact is another one."""
    failures = restarts = 0
    body = bytearray(offset)
    buf = bytearray(BUF)
    try:
        source = download.Source(url, size, identity, unhexlify(ca), buf, no_feed)
        while len(body) < size:
            before = len(body)
            try:
                if not source.open(before):
                    restarts += 1
                    body = bytearray()
                    continue
                read(source, body, size, buf, part)
                if not source.ended():
                    raise OSError(1042)
            except OSError as e:
                failures = 1 if len(body) > before else failures + 1
                if e.errno > 1000 or failures > retries:
                    raise
            finally:
                source.close()
        tell(sha256="".join("%02x" % b for b in hashlib.sha256(body).digest()), **counts(restarts))
    except OSError as e:
        tell(error=e.errno, got=len(body), **counts(restarts))


def read(source, body, size, buf, part):
    while len(body) < size:
        n = source.readinto(buf, min(part, size - len(body)))
        if n is not None:
            body.extend(memoryview(buf)[:n])


def counts(restarts):
    return {"restarts": restarts, "sent": coap_link.Link.sent, "received": coap_link.Link.received}


def channel(server, identity, secure=False, ca="", poll_s=300, version="1.0.0"):
    """Tells of every message and every word of the server; takes commands from standard input."""

    def connected():
        informed = link.inform(version)
        done = [outcome for outcome in outcomes if informed and link.report(outcome[0], outcome[1], 1)]
        for outcome in done:
            outcomes.remove(outcome)
        tell(connected=True, informed=informed, delivered=done)

    outcomes = []
    try:
        callbacks = lambda payload: tell(message=payload.decode()), connected
        link = coap.Coap(identity, tuple(server), (secure, unhexlify(ca)), poll_s, callbacks, bytearray(BUF), no_feed)
    except OSError as e:
        return tell(error=e.errno)
    typed = select.poll()
    typed.register(sys.stdin, select.POLLIN)
    while True:
        start = time.ticks_ms()
        link.poll()
        if time.ticks_diff(time.ticks_ms(), start) > 500:
            tell(blocked=time.ticks_diff(time.ticks_ms(), start))
        if typed.poll(2):
            words = sys.stdin.readline().split(None, 2)
            if not words or words[0] == "close":
                link.close()
                return tell(closed=True, **counts(0))
            if words[0] == "request":
                link.request(version)
            elif words[0] == "progress":
                link.report(int(words[1]))
            elif words[0] == "outcome":
                outcome = int(words[1]), words[2].strip()
                if not link.report(outcome[0], outcome[1], 1):
                    outcomes.append(outcome)


options = json.loads(sys.stdin.readline())
if options.pop("no_dtls", False):
    sys.modules["tls"] = type("tls", (), {"PROTOCOL_TLS_CLIENT": 0})  # as on a chip whose TLS has no DTLS
coap_link.Link.ack_timeout_ms = options.pop("ack_ms", 1000)
coap_link.Link.separate_ms = options.pop("separate_ms", 30000)
{"fetch": fetch, "channel": channel}[options.pop("do")](**options)
