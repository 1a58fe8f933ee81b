"""Linkkit's OTA messages over MQTT (SPEC.md, section 4: Messages)."""
# SPDX-License-Identifier: MIT

import json
import re
from dataclasses import dataclass

KINDS = ("inform", "progress", "request")
MAX_MESSAGE = 2048
MAX_VERSION = 64
MAX_DESC = 128
_TOPIC = re.compile(r"/ota/device/(inform|progress|request)/([^/]+)/([^/]+)")
_STEP = re.compile(r"-?\d{1,3}")


class BadMessage(Exception):
    """A device sent what is no message."""


@dataclass(frozen=True)
class Received:
    """A message from a device. `version` is None in progress, `step` in the other two."""

    kind: str
    pk: str
    dn: str
    id: int | str
    version: str | None = None
    step: int | None = None
    desc: str = ""


def topic(kind, pk, dn):
    """The topic of one device."""
    return f"/ota/device/{kind}/{pk}/{dn}"


def read(topic_name, payload):
    """The message in `payload`, or None for one that is not for us: a reply, or another module's."""
    match = _TOPIC.fullmatch(topic_name)
    if not match:
        raise BadMessage("unknown topic")
    kind, pk, dn = match.groups()
    message = _decode(payload)
    if kind == "request" and "data" in message:
        return None  # our own answer: it is sent on the topic it answers
    params = message.get("params")
    if not isinstance(params, dict):
        raise BadMessage("params is missing or no object")
    if params.get("module", "default") != "default":
        return None
    number = message.get("id")
    number = number if type(number) is int or isinstance(number, str) else 0
    if kind == "progress":
        return Received(kind, pk, dn, number, step=_step(params), desc=_desc(params))
    return Received(kind, pk, dn, number, version=_version(params))


def is_progress(topic_name, payload):
    """True for a message that only says how far an update has come: a later one replaces it."""
    try:
        message = read(topic_name, payload)
    except BadMessage:
        return False
    return message is not None and message.kind == "progress" and message.step >= 0


def _decode(payload):
    payload = payload.rstrip(b"\0")  # AliOS sends the C string's end too
    if len(payload) > MAX_MESSAGE:
        raise BadMessage(f"{len(payload)} bytes are too long")
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError):
        raise BadMessage("not JSON") from None
    if not isinstance(message, dict):
        raise BadMessage("not an object")
    return message


def _version(params):
    version = params.get("version")
    if not isinstance(version, str) or not version.isprintable() or not 1 <= len(version) <= MAX_VERSION:
        raise BadMessage("version is missing or of a wrong type")
    return version


def _step(params):
    step = params.get("step")
    text = str(step) if type(step) is int else step.strip() if isinstance(step, str) else ""
    if not _STEP.fullmatch(text) or int(text) > 100:
        raise BadMessage("step is missing or of a wrong type")
    return int(text)


def _desc(params):
    desc = params.get("desc", "")
    desc = desc if isinstance(desc, str) else json.dumps(desc)
    return "".join(c if c.isprintable() else " " for c in desc)[:MAX_DESC].strip()


def upgrade(artifact, url, message_id):
    """The upgrade message for an artifact that lies at `url`."""
    data = {
        "size": artifact.size,
        "sign": artifact.digest,
        "version": artifact.version,
        "url": url,
        "signMethod": artifact.method,
        "digestsign": artifact.digestsign,
    }
    if artifact.is_patch:
        data["isDiff"] = 1
    if artifact.method == "Md5":
        data["md5"] = artifact.digest
    return _encode({"code": "1000", "data": data, "id": message_id, "message": "success"})


def nothing(message_id):
    """The answer to a request when there is nothing to upgrade to."""
    return _encode({"code": "1000", "data": {}, "id": message_id, "message": "success"})


def is_nothing(payload):
    """True for what nothing() made: over CoAP the answer is empty then."""
    return not json.loads(payload)["data"]


def _encode(message):
    return json.dumps(message, separators=(",", ":")).encode()
