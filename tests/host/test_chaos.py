"""What `mpota serve --chaos` does to notifications, files, blocks and datagrams: the same for the same seed."""
# SPDX-License-Identifier: MIT

import asyncio
import json

import pytest
from aiocoap import Message
from aiocoap.numbers import codes

from mpota import chaos, noise
from mpota.chaos import BLOCK_FAULTS, FILE_FAULTS, NOTICE_FAULTS, Chaos

from .helpers import mpota

DATA = bytes(range(256)) * 4
NOTICE = json.dumps({"data": {"sign": "ab" * 32, "digestsign": "QUJD", "size": 1000, "url": "https://h/x"}}).encode()


def made(seed):
    faults = []
    return Chaos(seed, lambda where, what: faults.append((where, what))), faults


def notices(seed, count=300):
    one, faults = made(seed)
    return [one.notices(NOTICE) for _ in range(count)], faults


def blocks_of(one, count=3000):
    for _ in range(count):
        response = Message(code=codes.CONTENT, payload=DATA, etag=b"tag")
        response.opt.block2 = (3, True, 6)
        answer = one.block(response)
        yield answer.code, answer.payload, answer.opt.etag, answer.opt.block2


def blocks(seed):
    one, faults = made(seed)
    return list(blocks_of(one)), faults


async def application(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": DATA, "more_body": True})
    await send({"type": "http.response.body", "body": DATA})


def files(seed, monkeypatch, count=80):
    """(status, body) of each answer; None where the connection was lost."""
    monkeypatch.setattr(chaos, "DELAY_S", 0)
    one, faults = made(seed)
    app = one.files(application)

    async def ask():
        sent = []

        async def send(message):
            sent.append(message)

        try:
            await app({"type": "http", "path": "/x.bin"}, None, send)
        except chaos.Cut:
            return None
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)

    async def all_of_them():
        return [await ask() for _ in range(count)]

    return asyncio.run(all_of_them()), faults


def datagrams(seed, count=400):
    """What arrives, and when in order, of numbered datagrams."""

    async def pass_them():
        one = noise.Noise(seed, 0.1, 0.1, 0.1, 0.05, delay_s=0.05)
        arrived = []
        for n in range(count):
            one.pass_on(n.to_bytes(4, "big"), arrived.append)
        at_once = list(arrived)
        await asyncio.sleep(0.2)
        return at_once, sorted(arrived), one.counts

    return asyncio.run(pass_them())


def test_same_seed_is_the_same_chaos_and_another_is_another(monkeypatch):
    for what in (notices, blocks, lambda seed: files(seed, monkeypatch), datagrams):
        assert what(7) == what(7) != what(8)


def test_what_happens_to_one_kind_does_not_depend_on_the_others():
    alone, _ = blocks(5)
    one, _ = made(5)
    for _ in range(50):
        one.notices(NOTICE)
    assert list(blocks_of(one)) == alone


def test_every_fault_of_a_notification_happens_and_each_can_be_told():
    sent, faults = notices(1)
    assert {what for _, what in faults} == set(NOTICE_FAULTS)
    assert 0.3 < len(faults) / len(sent) < 0.5
    other = {payload for payloads in sent for payload in payloads} - {NOTICE}
    for payload in other:
        try:
            data = json.loads(payload)["data"]
        except ValueError:
            continue
        changed = {name for name, value in json.loads(NOTICE)["data"].items() if data[name] != value}
        assert len(changed) == 1


def test_every_fault_of_a_block_happens_and_each_can_be_told():
    answers, faults = blocks(1)
    assert {what for _, what in faults} == set(BLOCK_FAULTS)
    good = (codes.CONTENT, DATA, b"tag", (3, True, 6))
    assert len([answer for answer in answers if answer != good]) == len(faults)


def test_every_fault_of_a_file_happens(monkeypatch):
    answers, faults = files(1, monkeypatch)
    assert {what for _, what in faults} == set(FILE_FAULTS)
    bad = [answer for answer in answers if answer != (200, DATA * 2)]
    assert None in bad and (503, DATA * 2) in bad
    assert any(answer and answer[0] == 200 and len(answer[1]) == 2 * len(DATA) for answer in bad)


def test_other_paths_are_left_alone():
    one, faults = made(1)
    app = one.files(application)

    async def ask():
        async def send(message):
            pass

        for _ in range(50):
            await app({"type": "http", "path": "/auth/register/device"}, None, send)

    asyncio.run(ask())
    assert not faults


@pytest.mark.parametrize("kind", ["drop", "duplicate", "delay", "corrupt"])
def test_rate_of_each_kind_of_noise_is_kept(kind):
    async def count():
        one = noise.Noise(3, **{kind: 0.3}, delay_s=0.001)
        arrived = []
        for _ in range(1000):
            one.pass_on(DATA, arrived.append)
        await asyncio.sleep(0.1)
        return one.counts, arrived

    counts, arrived = asyncio.run(count())
    assert 250 < counts[kind] < 350 and counts["passed"] == 1000
    assert len(arrived) == {"drop": 1000 - counts["drop"], "duplicate": 1000 + counts["duplicate"]}.get(kind, 1000)
    assert len([data for data in arrived if data != DATA]) == (counts["corrupt"] if kind == "corrupt" else 0)


def test_serve_takes_a_seed():
    assert "--chaos SEED" in mpota("serve", "--help").stdout
