"""The update service without its network: messages of devices in, messages to devices out."""
# SPDX-License-Identifier: MIT

import math
from dataclasses import dataclass, replace

from mpota import codes, messages, rules
from mpota.codes import text

FORGIVEN_S = 2
BATCH = 256  # written together


@dataclass(frozen=True)
class Outgoing:
    """A message to publish."""

    topic: str
    payload: bytes


@dataclass(frozen=True)
class Event:
    """Something worth a line to whoever watches the server."""

    device: str
    text: str


class Service:
    """Applies rules.py to the store. `url_of(artifact, scheme)` says where an artifact is served. `forgiving`: no refusal is
    final, because what was refused was the server's fault (chaos.py)."""

    def __init__(self, store, url_of, forgiving=False):
        self._forgiving = forgiving
        self._store = store
        self._url_of = url_of
        self._last_id = 0
        self._polled, self._since = None, math.inf  # the last poll, and the first of those that have come one after another

    def receive_all(self, said, now):
        """What receive() returns to each (topic, payload), all of it written together."""
        with self._store.transaction():
            return [self.receive(topic, payload, now) for topic, payload in said]

    def receive(self, topic, payload, now):
        """Takes a device's message; returns lists of Outgoing and of Event."""
        if payload is None:
            return self._listening(topic, now)
        try:
            message = messages.read(topic, payload)
        except messages.BadMessage as error:
            return [], [Event(topic, f"bad message: {error}")]
        if message is None:
            return [], []
        if message.kind == "progress":
            return self._progress(message, now)
        return self._version(message, now)

    def poll(self, now):
        """What is due by the clock, or because another process has published; no more of it than can be written at once."""
        if self._polled is None or not 0 <= now - self._polled <= rules.SILENT_S:  # a start, a sleep, or another clock
            self._since = now
        self._polled = now
        released = self._store.release(now, self._since).items()
        events = [Event("server", f"{version} runs where it was told first; {count} more are told") for version, count in released]
        due = self._store.due(now, BATCH)
        if not due:
            return [], events
        with self._store.transaction():
            results = [self._tell(update, now) for update in due]
        return [message for sent, _ in results for message in sent], events + [event for _, said in results for event in said]

    def _tell(self, update, now):
        device = self._store.device(update.pk, update.dn)
        if rules.same_version(device.version, update.version):
            return [], self._keep(update, rules.informed(update, device.version, now), now)
        return self._push(update, now)

    def _version(self, message, now):
        if not self._store.set_version(message.pk, message.dn, message.version):
            return [], [Event(f"{message.pk}/{message.dn}", "unknown device")]
        events = [Event(f"{message.pk}/{message.dn}", f"runs {message.version}")]
        update = self._store.latest(message.pk, message.dn)
        after = update and rules.informed(update, message.version, now)
        if update is not None:
            events += self._keep(update, after, now)
            after, said = self._stand_in(after, message.version, now)
            events += said
        reply = (messages.topic("request", message.pk, message.dn), message.id) if message.kind == "request" else None
        if update is not None and rules.is_due(after, now):
            outgoing, said = self._push(after, now, reply)
            return outgoing, events + said
        return ([Outgoing(reply[0], messages.nothing(reply[1]))] if reply else []), events

    def _listening(self, topic, now):
        """Over UDP nobody tells whether a device was there when it was told: it hears it again, which is no event."""
        pk, dn = topic.split("/")[4:]
        update = self._store.latest(pk, dn)
        if update is None:
            return [], []
        after, events = self._stand_in(rules.listening(update, now), self._store.device(pk, dn).version, now)
        if rules.is_due(after, now) and after != update:
            outgoing, said = self._push(after, now)
            return outgoing, events + said if events else []
        return [], events + self._keep(update, after, now)

    def _stand_in(self, held, version, now):
        """A held update after its device, which runs `version`, has been heard of: it is told in place of one that was told first and is
        silent. And the event, if it is so."""
        if held.state != rules.HELD or not version or not rules.replaces(held.version, version):
            return held, []
        silent = self._store.not_answering(held, version, now) if now - self._since >= rules.SILENT_S else None
        if silent is None:
            return held, []
        held, silent = rules.stand_in(held, silent, now)
        with self._store.transaction():
            self._save(held, now)
            self._save(silent, now)
        return held, [Event(f"{silent.pk}/{silent.dn}", f"does not answer; {held.pk}/{held.dn} is told in its place")]

    def _progress(self, message, now):
        name = f"{message.pk}/{message.dn}"
        update = self._store.latest(message.pk, message.dn)
        if update is None:
            return [], [Event(name, "reports progress of no known update")]
        events = [Event(name, f"{message.step}" + (f" {text(message.desc)}" if message.desc else ""))]
        after = rules.reported(update, message.step, message.desc, now)
        if self._forgiving and message.step < 0:
            after = _forgiven(update, after, now)
        return [], events + self._keep(update, after, now)

    def _push(self, update, now, reply=None):
        """Tells the device, on the upgrade topic or in reply to its request: (topic, id)."""
        artifact = self._artifact(update)
        if not self._save(rules.pushed(update, now, artifact.is_patch), now):
            return [], []  # taken back while we looked
        topic, number = reply or (messages.topic("upgrade", update.pk, update.dn), self._next_id(now))
        payload = messages.upgrade(artifact, self._url_of(artifact, update.scheme), number)
        return [Outgoing(topic, payload)], [Event(f"{update.pk}/{update.dn}", f"told of {update.version}{_kind(artifact)}")]

    def _artifact(self, update):
        """The patch from what the device runs, if there is one and it has not refused it; else the image."""
        base = self._store.device(update.pk, update.dn).version
        patch = self._store.patch(update.artifact, base) if update.patches and base else None
        return patch or self._store.artifact(update.artifact)

    def _keep(self, before, after, now):
        """Saves an update if it changed; an event if it has come to its end."""
        if after == before:
            return []
        self._save(after, now)
        if after.state == before.state or after.state in rules.OPEN:
            return []
        reason = f": {text(after.desc)}" if after.desc else ""
        return [Event(f"{after.pk}/{after.dn}", f"{after.version} {after.state}{reason}")]

    def _save(self, update, now):
        return self._store.save(replace(update, at=now))

    def _next_id(self, now):
        """Milliseconds, as the cloud numbers its messages, and never the same twice."""
        self._last_id = max(self._last_id + 1, int(now * 1000))
        return self._last_id


def _forgiven(before, after, now):
    """No refusal ends anything, neither the update nor its patch; only an image that did not work does."""
    if before.state not in rules.OPEN or codes.find(after.desc) in codes.WENT_BACK | codes.LATER:
        return after
    return replace(before, state=rules.WAITING, step=after.step, desc=after.desc, silent=0, restarts=0, due=now + FORGIVEN_S)


def _kind(artifact):
    return f", a patch of {artifact.size} bytes" if artifact.is_patch else ""
