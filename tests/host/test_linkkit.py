"""Linkkit's credentials and messages, with the vectors of the protocol's dossier."""
# SPDX-License-Identifier: MIT

import json

import pytest

from mpota import linkkit, messages
from mpota.errors import ToolError
from mpota.messages import BadMessage, Received
from mpota.store import Artifact

from .helpers import DN, PK, SECRET

PROGRESS, INFORM, REQUEST = (messages.topic(kind, PK, DN) for kind in ("progress", "inform", "request"))


def test_password_is_that_of_the_dossier():
    assert linkkit.user_name(PK, DN) == "dev01&a1B2c3D4e5F"
    assert linkkit.password(PK, DN, SECRET) == "1ba83b7a3200015eceaabfb5e7fa0b1e43c0f87b8d72d64ac2ab9ec9bde8676c"


@pytest.mark.parametrize(
    ("pk", "dn"),
    [("", "d"), ("p" * 21, "d"), ("p/q", "d"), ("p", ""), ("p", "d" * 33), ("p", "d:e"), ("p", "d\n"), ("p", "d+"), ("p", "é")],
)
def test_names_that_are_none_are_refused(pk, dn):
    with pytest.raises(ToolError, match="not a"):
        linkkit.check_names(pk, dn)


def test_longest_names_are_accepted():
    linkkit.check_names("p" * 20, "Aa0-_.@" + "d" * 25)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"id":0,"params":{"version":"1.0.0"}}\0',
        b'{"id": 0, "params": {"version": "1.0.0"}}',
        b'{"id":0,"params":{"version":"1.0.0","module":"default"}}',
    ],
)
def test_inform_is_read_in_all_spellings(payload):
    assert messages.read(INFORM, payload) == Received("inform", PK, DN, 0, version="1.0.0")


@pytest.mark.parametrize(
    ("payload", "number", "step"),
    [
        (b'{"id":0,"params":{"step": "45","desc":""}}\0', 0, 45),
        (b'{"id":"1","params":{"step":"45"}}', "1", 45),
        (b'{"id":2,"params":{"step":45,"desc":""}}', 2, 45),
        (b'{"params":{"step":"-17","desc":""}}', 0, -17),
        (b'{"id":true,"params":{"step":" 100 ","desc":""}}', 0, 100),
    ],
)
def test_progress_is_read_in_all_spellings(payload, number, step):
    assert messages.read(PROGRESS, payload) == Received("progress", PK, DN, number, step=step)


def test_desc_is_made_harmless():
    payload = json.dumps({"params": {"step": "-3", "desc": "a\x1b[2J\n" + "b" * 300}}).encode()
    desc = messages.read(PROGRESS, payload).desc
    assert desc.isprintable()
    assert len(desc) == messages.MAX_DESC
    assert messages.read(PROGRESS, b'{"params":{"step":1,"desc":null}}').desc == "null"


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (INFORM, b""),
        (INFORM, b"\0"),
        (INFORM, b"{"),
        (INFORM, b"\xff\xfe"),
        (INFORM, b"[" * 2000),
        (INFORM, b"[]"),
        (INFORM, b'"text"'),
        (INFORM, b'{"params":[]}'),
        (INFORM, b'{"params":{}}'),
        (INFORM, b'{"params":{"version":1}}'),
        (INFORM, b'{"params":{"version":""}}'),
        (INFORM, b'{"params":{"version":"a\\u0000b"}}'),
        (INFORM, b'{"params":{"version":"%s"}}' % (b"1" * 65)),
        (INFORM, b'{"params":{"version":"1.0.0"}}' + b" " * 2048),
        (PROGRESS, b'{"params":{"step":null}}'),
        (PROGRESS, b'{"params":{"step":true}}'),
        (PROGRESS, b'{"params":{"step":1.5}}'),
        (PROGRESS, b'{"params":{"step":"101"}}'),
        (PROGRESS, b'{"params":{"step":"x"}}'),
        (PROGRESS, b'{"params":{"step":"99999999999999999999"}}'),
        ("/ota/device/inform/only", b'{"params":{"version":"1.0.0"}}'),
        ("/other", b"{}"),
    ],
)
def test_what_is_no_message_is_refused(topic, payload):
    with pytest.raises(BadMessage):
        messages.read(topic, payload)


def test_our_own_answer_and_another_module_are_not_for_us():
    assert messages.read(REQUEST, messages.nothing(1)) is None
    assert messages.read(INFORM, b'{"params":{"version":"1.0.0","module":"MCU"}}') is None


def test_upgrade_has_the_fields_of_the_cloud():
    artifact = Artifact(1, "file", 584064, "1.1.0", "SHA256", "ab" * 32, "c2ln")
    assert json.loads(messages.upgrade(artifact, "https://host/file", 1553688236684)) == {
        "code": "1000",
        "data": {
            "size": 584064,
            "sign": "ab" * 32,
            "version": "1.1.0",
            "url": "https://host/file",
            "signMethod": "SHA256",
            "digestsign": "c2ln",
        },
        "id": 1553688236684,
        "message": "success",
    }


def test_md5_is_sent_twice_as_the_cloud_does():
    artifact = Artifact(1, "file", 1, "1.1.0", "Md5", "ab" * 16, "c2ln")
    data = json.loads(messages.upgrade(artifact, "u", 1))["data"]
    assert (data["signMethod"], data["sign"], data["md5"]) == ("Md5", "ab" * 16, "ab" * 16)
