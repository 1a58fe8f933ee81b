"""The service as an object: messages in, messages out, the store in a file."""
# SPDX-License-Identifier: MIT

import json
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from mpota import messages, rules, running
from mpota import publish as publishing
from mpota import service as service_module
from mpota import store as store_module
from mpota.errors import ToolError
from mpota.service import Service
from mpota.store import Artifact, Store

from .helpers import DN, PK

NOW = 1_700_000_000.0
INFORM, REQUEST, PROGRESS, UPGRADE = (messages.topic(kind, PK, DN) for kind in ("inform", "request", "progress", "upgrade"))


@pytest.fixture
def service(store):
    return Service(store, lambda artifact, scheme: f"{scheme}://host/{artifact.file}")


def one(store, number):
    """The update with this id."""
    return store.updates([number])[0]


def artifact(version):
    return Artifact(0, f"{version}.bin", 1000, version, "SHA256", "ab" * 32, "c2ln")


def publish(store, version, scheme="https"):
    return store.publish(artifact(version), store.devices(), scheme)[0]


def inform(service, version, now=NOW):
    return service.receive(INFORM, b'{"params":{"version":"%s"}}' % version.encode(), now)[0]


def progress(service, step, desc="", now=NOW):
    return service.receive(PROGRESS, json.dumps({"params": {"step": str(step), "desc": desc}}).encode(), now)[0]


def versions(outgoing):
    return [json.loads(message.payload)["data"]["version"] for message in outgoing]


def test_inform_without_target_is_only_noted(store, service):
    assert inform(service, "1.0.0") == []
    assert store.device(PK, DN).version == "1.0.0"


def test_inform_of_an_old_version_brings_the_upgrade(store, service):
    publish(store, "1.1.0", "http")
    (message,) = inform(service, "1.0.0")
    assert message.topic == UPGRADE
    assert json.loads(message.payload)["data"]["url"] == "http://host/1.1.0.bin"
    assert json.loads(message.payload)["id"] == NOW * 1000


def test_message_ids_never_repeat(store, service):
    publish(store, "1.1.0")
    numbers = [json.loads(inform(service, "1.0.0")[0].payload)["id"] for _ in range(3)]
    assert numbers == sorted(set(numbers))


def test_target_published_later_is_told_by_the_next_poll_once(store, service):
    inform(service, "1.0.0")
    publish(store, "1.1.0")
    assert versions(service.poll(NOW)[0]) == ["1.1.0"]
    assert service.poll(NOW)[0] == []


@pytest.fixture
def statements(store):
    """What the store asks of SQLite, from now on."""
    found = []
    store._db.set_trace_callback(found.append)
    return found


def test_poll_tells_a_bounded_number_in_one_transaction(store, service, statements, monkeypatch):
    monkeypatch.setattr(service_module, "BATCH", 2)
    for n in range(4):
        store.add_device(PK, f"more{n}")
    for device in store.devices():
        service.receive(messages.topic("inform", PK, device.dn), b'{"params":{"version":"1.0.0"}}', NOW)
    publish(store, "1.1.0")
    for told in (2, 2, 1):
        statements.clear()
        assert len(service.poll(NOW)[0]) == told and statements.count("COMMIT") == 1
    statements.clear()
    assert service.poll(NOW) == ([], []) and not [statement for statement in statements if "BEGIN" in statement]


def test_messages_that_come_together_are_written_together_or_not_at_all(store, service, statements, monkeypatch):
    publish(store, "1.1.0")
    said = [(INFORM, b'{"params":{"version":"1.0.0"}}'), (PROGRESS, b'{"params":{"step":"5"}}')]
    monkeypatch.setattr(store, "save", lambda update: store._all("no SQL"))
    with pytest.raises(ToolError):
        service.receive_all(said, NOW)
    assert store.device(PK, DN).version is None
    monkeypatch.undo()
    statements.clear()
    informed, reported = service.receive_all(said, NOW)
    assert versions(informed[0]) == ["1.1.0"] and reported[0] == [] and store.latest(PK, DN).step == 5
    assert statements.count("COMMIT") == 1


def test_wait_that_began_under_a_wrong_clock_ends_when_it_is_right(store, service):
    number, wrong = publish(store, "1.1.0"), NOW + 1e8
    inform(service, "1.0.0", wrong)
    progress(service, -2, "1043", wrong)
    assert one(store, number).due > wrong and service.poll(wrong)[0] == []
    assert versions(service.poll(NOW)[0]) == ["1.1.0"]
    assert service.poll(NOW)[0] == []


def test_device_that_was_never_heard_of_is_not_told(store, service):
    publish(store, "1.1.0")
    assert service.poll(NOW)[0] == []


def test_device_that_runs_the_target_already_is_not_told(store, service):
    inform(service, "1.1.0")
    number = publish(store, "1.1.0")
    assert service.poll(NOW)[0] == []
    assert one(store, number).state == "updated"


def test_new_target_replaces_the_open_one(store, service):
    first, second = publish(store, "1.1.0"), publish(store, "1.2.0")
    assert versions(inform(service, "1.0.0")) == ["1.2.0"]
    assert [one(store, number).state for number in (first, second)] == ["replaced", "notified"]


def test_failed_target_is_not_told_again_but_published_again_it_is(store, service):
    number = publish(store, "1.1.0")
    inform(service, "1.0.0")
    progress(service, -3, "1007")
    assert one(store, number).state == "failed"
    assert inform(service, "1.0.0") == []
    publish(store, "1.1.0")
    assert versions(inform(service, "1.0.0")) == ["1.1.0"]


def test_whole_update_is_told_in_events(store, service):
    publish(store, "1.1.0")
    inform(service, "1.0.0")
    progress(service, 50)
    events = service.receive(INFORM, b'{"params":{"version":"1.1.0"}}', NOW)[1]
    assert [(event.device, event.text) for event in events] == [(f"{PK}/{DN}", "runs 1.1.0"), (f"{PK}/{DN}", "1.1.0 updated")]


def test_request_is_answered_on_its_topic_with_its_id(store, service):
    payload = b'{"id":"42","params":{"version":"1.0.0"}}'
    (answer,) = service.receive(REQUEST, payload, NOW)[0]
    assert (answer.topic, json.loads(answer.payload)) == (REQUEST, {"code": "1000", "data": {}, "id": "42", "message": "success"})
    publish(store, "1.1.0")
    (answer,) = service.receive(REQUEST, payload, NOW)[0]
    assert (answer.topic, json.loads(answer.payload)["id"], versions([answer])) == (REQUEST, "42", ["1.1.0"])
    assert service.receive(REQUEST, answer.payload, NOW) == ([], [])


def test_bad_messages_and_unknown_devices_change_nothing(store, service):
    publish(store, "1.1.0")
    for topic, payload in (
        (INFORM, b"{"),
        (PROGRESS, b"\xff"),
        (messages.topic("inform", PK, "other"), b'{"params":{"version":"1.0.0"}}'),
        (messages.topic("progress", PK, "other"), b'{"params":{"step":1}}'),
    ):
        outgoing, events = service.receive(topic, payload, NOW)
        assert (outgoing, len(events)) == ([], 1)
    assert store.latest(PK, DN).state == "waiting"


def test_outcomes_outlive_the_process(store, service, tmp_path):
    publish(store, "1.1.0")
    inform(service, "1.0.0")
    progress(service, 30)
    again = Store(tmp_path / "state")
    assert (again.device(PK, DN).version, again.latest(PK, DN).state, again.latest(PK, DN).step) == ("1.0.0", "running", 30)


def test_change_by_another_process_is_seen(store, tmp_path):
    before = store.changed_by_others()
    assert store.changed_by_others() == before
    other = Store(tmp_path / "state")
    other.add_device(PK, "dev02")
    assert store.changed_by_others() != before


def test_replaced_update_is_not_brought_back_by_a_late_report(store):
    old = one(store, publish(store, "1.1.0"))
    publish(store, "1.2.0")
    store.save(old)
    assert one(store, old.id).state == "replaced"


def test_updates_of_a_device_that_was_removed_are_left_out(store):
    first = publish(store, "1.1.0")
    store.add_device(PK, "dev02")
    store.remove_device(PK, DN)
    assert store.updates([first]) == []
    assert publishing.wait(store, [first], lambda update: None, 0) == []


def test_withdrawn_update_is_told_no_more_and_ends_as_it_happens_to(store, service):
    inform(service, "1.0.0")
    number = publish(store, "1.1.0")
    told = one(store, number)
    assert store.withdraw(store.devices()) == [number] and store.withdraw(store.devices()) == []
    store.save(told)  # by a server that had read it before
    assert service.poll(NOW)[0] == inform(service, "1.0.0") == []
    progress(service, 50)
    progress(service, -3, "1006")
    assert one(store, number).state == "withdrawn"
    inform(service, "1.1.0")
    assert one(store, number).state == "updated"
    number = publish(store, "1.2.0")
    assert versions(inform(service, "1.1.0")) == ["1.2.0"]
    progress(service, 100)
    store.withdraw(store.devices())
    inform(service, "1.1.0")
    progress(service, -1, "1090 not confirmed in its trials")  # it goes back none the less
    assert one(store, number).state == "failed"


def test_notice_of_what_is_withdrawn_meanwhile_is_not_sent(store, service, monkeypatch):
    inform(service, "1.0.0")
    publish(store, "1.1.0")
    due = store.due
    monkeypatch.setattr(store, "due", lambda *args: [due(*args), store.withdraw(store.devices())][0])
    assert service.poll(NOW) == ([], [])


def test_state_of_another_format_is_refused(store, tmp_path):
    with store.transaction() as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(ToolError, match="state of format 99"):
        Store(tmp_path / "state")


def test_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "mpota.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(ToolError, match="not a database"):
        Store(tmp_path)


@pytest.fixture
def impatient(monkeypatch):
    """Waits for no other process."""
    monkeypatch.setattr(store_module, "BUSY_S", 0)
    monkeypatch.setattr(store_module, "MAKING_S", 0)


def test_empty_file_is_no_new_state(impatient, tmp_path):
    (tmp_path / "mpota.db").touch()
    for create in (False, True):
        with pytest.raises(ToolError, match=r"mpota.db: empty"):
            Store(tmp_path, create=create)


def test_state_that_cannot_be_made_leaves_no_empty_file(monkeypatch, tmp_path):
    monkeypatch.setattr(store_module, "_TABLES", "no SQL")
    with pytest.raises(ToolError):
        Store(tmp_path, create=True)
    monkeypatch.undo()
    assert Store(tmp_path, create=True).devices() == []


def test_state_that_another_is_just_making_is_waited_for(monkeypatch, tmp_path):
    real, begun = Store._make, threading.Event()

    def make(store):
        begun.set()
        time.sleep(0.3)
        real(store)

    monkeypatch.setattr(Store, "_make", make)
    other = threading.Thread(target=Store, args=(tmp_path, True))
    other.start()
    begun.wait()
    Store(tmp_path, create=True).add_device(PK, DN)
    other.join()
    assert [device.dn for device in Store(tmp_path).devices()] == [DN]


def test_state_is_opened_and_read_while_somebody_writes(impatient, store):
    with store.transaction():
        assert [device.dn for device in Store(store.folder).devices()] == [DN]


def test_state_opened_twice_by_one_process_stays_locked(store):
    """POSIX: a file's locks end when the process closes it, whichever part of it does."""
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute('BEGIN IMMEDIATE')"
    with store.transaction():
        Store(store.folder).close()
        done = subprocess.run([sys.executable, "-c", code, store.path], capture_output=True, text=True, check=False)
    assert "database is locked" in done.stderr


def test_product_has_one_secret(store):
    with pytest.raises(ToolError, match="another secret"):
        store.add_device(PK, "dev02", product_secret="other")
    assert len(store.product_secret(PK)) == 32
    store.add_device("q", "dev", "ds", "ps")
    store.add_device("q", "dev2", product_secret="ps")
    assert (store.product_secret("q"), store.device("q", "dev").secret) == ("ps", "ds")


def test_device_that_listens_again_is_told_what_it_has_not_answered(store, service):
    publish(store, "1.1.0")
    topic = messages.topic("upgrade", PK, DN)
    assert service.receive(topic, None, NOW) == ([], [])
    inform(service, "1.0.0")
    told, events = service.receive(topic, None, NOW)
    assert versions(told) == ["1.1.0"] and not events, "nobody listened when it was told"
    for second in range(1, 60):
        service.poll(NOW + second)
    assert service.poll(NOW + 1000)[0] == []
    (again,) = service.receive(topic, None, NOW + 1000)[0]
    assert again.topic == topic and versions([again]) == ["1.1.0"]
    progress(service, 5, now=NOW + 1001)
    assert service.receive(topic, None, NOW + 2000) == ([], [])


@pytest.fixture
def fleet(store, service):
    """Five devices that run 1.0.0, but dev04 0.9.0."""

    class Fleet:
        names = (DN, "dev02", "dev03", "dev04", "dev05")
        now = NOW

        def publish(self, told=1, soak=0):
            """1.1.0: so many are told, the others held."""
            devices = store.devices(PK)
            store.publish(artifact("1.1.0"), devices[:told], "https", held=devices[told:], soak=soak)

        def hear(self, n, version, now):
            """What is sent and said when the n-th informs."""
            topic = messages.topic("inform", PK, self.names[n - 1])
            sent, events = service.receive(topic, b'{"params":{"version":"%s"}}' % version.encode(), now)
            polled, more = service.poll(now)
            return sent + polled, [event.text for event in events + more]

        def silence(self, until):
            """Lets time pass up to `until`, in which the server polls and no device says a word."""
            while self.now < until:
                service.poll(self.now)
                self.now += 5

        @property
        def states(self):
            return " ".join(store.latest(PK, dn).state for dn in self.names)

    for dn in Fleet.names[1:]:
        store.add_device(PK, dn)
    for dn in Fleet.names:
        store.set_version(PK, dn, "0.9.0" if dn == "dev04" else "1.0.0")
    return Fleet()


SILENT = NOW + rules.SILENT_S + 60


def test_device_that_is_heard_of_stands_in_for_a_silent_one(fleet, store, service):
    fleet.publish()
    fleet.hear(1, "1.0.0", NOW)
    fleet.silence(NOW + 30)
    assert fleet.hear(2, "1.0.0", NOW + 30)[0] == [], "not yet"
    fleet.silence(SILENT)
    assert fleet.hear(3, "1.2.0", SILENT)[0] == [], "not to one that would not take it"
    sent, said = fleet.hear(2, "1.0.0", SILENT)
    assert versions(sent) == ["1.1.0"] and fleet.states == "held notified held held held"
    assert f"does not answer; {PK}/dev02 is told in its place" in said
    assert fleet.hear(5, "1.0.0", SILENT)[0] == [], "one for one"
    assert fleet.hear(1, "1.0.0", SILENT)[0] == [], "its turn is over"
    sent, said = fleet.hear(2, "1.1.0", SILENT)
    assert "1.1.0 runs where it was told first; 4 more are told" in said and len(sent) == 4
    assert store.latest(PK, DN).restarts == 0, "it begins anew"
    for second in range(20):
        sent += service.poll(SILENT + second)[0]
    assert sum(message.topic.endswith(DN) for message in sent) == rules.MAX_SILENT, "as often as any other"


def test_device_over_coap_stands_in_when_it_observes_anew(fleet, service):
    fleet.publish()
    fleet.silence(SILENT)
    sent, events = service.receive(messages.topic("upgrade", PK, "dev02"), None, SILENT)
    assert versions(sent) == ["1.1.0"] and sent[0].topic.endswith("dev02"), "in the same answer: it may ask but once an hour"
    assert [event.text for event in events] == [f"does not answer; {PK}/dev02 is told in its place", "told of 1.1.0"]
    assert service.receive(messages.topic("upgrade", PK, "nobody"), None, SILENT) == ([], [])


def test_device_that_requests_stands_in_by_the_answer(fleet, service):
    fleet.publish()
    fleet.silence(SILENT)
    topic = messages.topic("request", PK, "dev02")
    (answer,), _ = service.receive(topic, b'{"id":"7","params":{"version":"1.0.0"}}', SILENT)
    assert answer.topic == topic and versions([answer]) == ["1.1.0"]


def test_stand_in_is_for_one_of_its_own_version_if_there_is_one(fleet, store):
    store.set_version(PK, DN, "0.9.0")
    fleet.publish(2)
    fleet.silence(SILENT)
    fleet.hear(3, "1.0.0", SILENT)
    assert fleet.states == "notified held notified held held"
    fleet.hear(5, "1.0.0", SILENT)
    assert fleet.states == "held held notified held notified"


def test_as_many_stand_in_as_were_told_first(fleet):
    """What silences every board that hears of it does not get through them all."""
    fleet.publish(2)
    for n in (3, 5, 4):
        fleet.silence(fleet.now + rules.SILENT_S + 60)
        fleet.hear(n, "1.0.0", fleet.now)
    assert fleet.states == "held held notified held notified"


@pytest.mark.parametrize("step", [50, -3])
def test_nobody_stands_in_for_one_that_has_answered(fleet, service, step):
    fleet.publish()
    fleet.silence(NOW + 30)
    progress(service, step, "1006 digest" if step < 0 else "", NOW + 30)
    fleet.silence(SILENT)
    assert fleet.hear(2, "1.0.0", SILENT) == ([], ["runs 1.0.0"])


@pytest.mark.parametrize("refusal", [(-2, "1043 stalled"), (-3, "1074 patch")])
def test_nobody_stands_in_for_one_that_vanished_when_it_had_begun(fleet, store, service, refusal):
    fleet.publish()
    store._add_artifact(store._db, replace(artifact("1.1.0"), base="1.0.0", result=1))
    fleet.silence(NOW + 30)
    progress(service, 40, now=NOW + 30)
    progress(service, *refusal, NOW + 31)
    fleet.silence(SILENT + 100)
    assert fleet.states.startswith("notified") and fleet.hear(2, "1.0.0", SILENT + 100)[0] == []


def test_report_of_one_that_lost_its_place_makes_it_one_of_the_first_again(fleet, service):
    fleet.publish()
    fleet.silence(SILENT)
    fleet.hear(2, "1.0.0", SILENT)
    progress(service, 50, now=SILENT)
    assert fleet.states == "running notified held held held"
    progress(service, 100, now=SILENT)
    progress(service, -1, "1090 not confirmed in its trials", now=SILENT)
    fleet.hear(2, "1.1.0", SILENT)
    assert fleet.states == "failed updated held held held"


def test_report_of_the_update_before_makes_nobody_one_of_the_first_again(fleet, service):
    """A rollback is told before the version."""
    fleet.publish()
    fleet.silence(SILENT)
    fleet.hear(2, "1.0.0", SILENT)
    progress(service, -1, "1090 not confirmed in its trials", now=SILENT)
    assert fleet.states == "held notified held held held"


def test_nobody_stands_in_once_one_of_the_first_has_failed(fleet, service):
    fleet.publish(2)
    fleet.silence(NOW + 30)
    progress(service, -3, "1006 digest", NOW + 30)
    fleet.silence(SILENT)
    assert fleet.hear(3, "1.0.0", SILENT)[0] == [] and fleet.states == "failed notified held held held"


def test_one_that_lost_its_place_stands_in_for_its_successor(fleet):
    """It was told before, so the bound on how many are told holds."""
    fleet.publish()
    for n in (2, 3, 1):
        fleet.silence(fleet.now + rules.SILENT_S + 60)
        fleet.hear(n, "1.0.0", fleet.now)
    assert fleet.states == "notified held held held held"


@pytest.mark.parametrize("how", ["withdraw", "publish"])
def test_one_that_lost_its_place_and_leaves_makes_no_room_for_more(fleet, store, how):
    fleet.publish()
    fleet.silence(SILENT)
    fleet.hear(2, "1.0.0", SILENT)
    device = store.device(PK, DN)
    if how == "withdraw":
        store.withdraw([device])
    else:
        store.publish(artifact("1.2.0"), [device], "https")
    fleet.silence(SILENT + rules.SILENT_S + 60)
    assert fleet.hear(3, "1.0.0", fleet.now)[0] == []


@pytest.mark.parametrize("what", ["nothing", "ahead", "restart", "sleep"])
def test_who_is_silent_is_known_to_a_server_that_was_there(fleet, store, service, what):
    """Not after a restart, or when it slept, which is the same as a clock that is set. A push in the future was long ago."""
    fleet.publish()
    fleet.silence(NOW + 30)
    if what == "ahead":
        store.save(replace(store.latest(PK, DN), at=SILENT * 2))
    if what in ("nothing", "ahead"):
        fleet.silence(SILENT)
    elif what == "restart":
        service = Service(store, lambda artifact, scheme: "https://host")
    for now in (SILENT - 1, SILENT):
        service.poll(now)
    sent = service.receive(messages.topic("inform", PK, "dev02"), b'{"params":{"version":"1.0.0"}}', SILENT)[0]
    assert len(sent) == (what in ("nothing", "ahead"))


def test_silent_one_that_had_the_image_is_updated_all_the_same(fleet):
    fleet.publish()
    fleet.silence(SILENT)
    fleet.hear(2, "1.0.0", SILENT)
    fleet.hear(1, "1.1.0", SILENT)
    assert fleet.states == "updated notified held held held"


def test_what_is_held_is_told_when_the_first_have_run_it_long_enough(fleet):
    fleet.publish(2, soak=3600)
    fleet.hear(1, "1.1.0", NOW + 10)
    fleet.hear(2, "1.1.0", NOW + 500)
    fleet.silence(NOW + 4090)
    assert fleet.hear(1, "1.1.0", NOW + 4099)[0] == [] and fleet.states == "updated updated held held held"
    sent, said = fleet.hear(1, "1.1.0", NOW + 4100)
    assert len(sent) == 3 and said == ["runs 1.1.0", "1.1.0 runs where it was told first; 3 more are told", *["told of 1.1.0"] * 3]


@pytest.mark.parametrize("soak", [100, 3600])
@pytest.mark.parametrize("what", ["restart", "sleep"])
def test_soak_time_ends_before_a_server_that_hears(fleet, store, service, what, soak):
    fleet.publish(soak=soak)
    fleet.hear(1, "1.1.0", NOW + 10)
    if what == "restart":
        service = Service(store, lambda artifact, scheme: "https://host")
    later = NOW + 90000
    assert service.poll(later)[1] == [] == service.poll(later + rules.SILENT_S - 1)[1]
    assert len(service.poll(later + rules.SILENT_S)[0]) == 4


def test_soak_time_that_is_shorter_than_a_silence_ends_in_time(fleet, service):
    service.poll(NOW)
    fleet.publish(soak=60)
    fleet.hear(1, "1.1.0", NOW + 10)
    assert service.poll(NOW + 69)[0] == [] and len(service.poll(NOW + 70)[0]) == 4


def test_without_a_soak_time_no_clock_holds_back(fleet, service):
    fleet.publish(2)
    fleet.hear(1, "1.1.0", NOW + 1e9)
    assert len(fleet.hear(2, "1.1.0", NOW)[0]) == 3


@pytest.mark.parametrize("how", ["withdraw", "publish", "remove"])
def test_held_one_that_leaves_does_not_hold_the_others(fleet, store, how):
    fleet.publish()
    device = store.device(PK, "dev03")
    if how == "withdraw":
        store.withdraw([device])
    elif how == "publish":
        store.publish(artifact("1.2.0"), [device], "https")
    else:
        store.remove_device(PK, "dev03")
    assert "1.1.0 runs where it was told first; 3 more are told" in fleet.hear(1, "1.1.0", NOW)[1]


def test_what_nobody_was_told_first_stays_held(fleet, store, service):
    fleet.publish()
    with store.transaction() as db:
        db.execute('DELETE FROM "update" WHERE dn = ?', (DN,))
    assert service.poll(NOW) == ([], []) and store.latest(PK, "dev02").state == "held"


def test_what_is_held_stays_so_if_one_of_the_first_goes_back_after_all(fleet):
    fleet.publish(soak=3600)
    fleet.hear(1, "1.1.0", NOW + 10)
    fleet.hear(1, "1.0.0", NOW + 1000)
    assert fleet.hear(2, "1.0.0", NOW + 9000)[0] == [] and fleet.states == "failed held held held held"


@pytest.mark.parametrize("how", ["withdraw", "publish", "remove"])
def test_what_is_held_is_withdrawn_with_one_of_the_first_that_runs_it(fleet, store, how):
    fleet.publish(2)
    fleet.hear(1, "1.1.0", NOW)
    device = store.device(PK, DN)
    if how == "withdraw":
        assert len(store.withdraw([device])) == 3
    elif how == "publish":
        store.publish(artifact("1.2.0"), [device], "https")
    else:
        store.remove_device(PK, DN)
    fleet.hear(2, "1.1.0", NOW)
    assert [store.latest(PK, dn).state for dn in fleet.names[1:]] == ["updated", *["withdrawn"] * 3]


def test_wait_goes_on_while_what_is_held_soaks(fleet, store):
    fleet.publish(2, soak=3600)
    numbers = [update.id for update in store.targets()]
    store.withdraw([store.device(PK, "dev03")])
    for n in (1, 2):
        fleet.hear(n, "1.1.0", NOW)
    for timeout, failed in ((0.3, False), (60, True)):
        if failed:
            fleet.hear(1, "1.0.0", NOW)
        start = time.monotonic()
        publishing.wait(store, numbers, lambda update: None, timeout)
        assert (time.monotonic() - start > 0.2) != failed


def test_refusal_of_the_patch_before_does_not_end_the_image_that_is_told_now(store, service):
    publish(store, "1.1.0")
    inform(service, "1.0.0")
    number = publish(store, "1.2.0")
    service.poll(NOW)
    progress(service, -1, "1074 patch", now=NOW + 1)
    assert one(store, number).state == "notified"


def test_poller_that_restarts_in_its_update_is_told_again(store, service):
    """It does not observe: what its inform brought, it has not heard."""
    publish(store, "1.1.0")
    inform(service, "1.0.0")
    progress(service, 10, now=NOW + 1)
    inform(service, "1.0.0", NOW + 60)
    for second in range(61, 90):
        service.poll(NOW + second)
    assert versions(service.receive(messages.topic("upgrade", PK, DN), None, NOW + 90)[0]) == ["1.1.0"]


def test_poller_that_never_acts_fails(store, service):
    number = publish(store, "1.1.0")
    inform(service, "1.0.0")
    told = [service.receive(messages.topic("upgrade", PK, DN), None, NOW + second)[0] for second in range(100)]
    assert sum(map(len, told)) < 70 and one(store, number).state == "failed"
    assert "no progress" in one(store, number).desc


FORMAT_2 = """
CREATE TABLE product (pk TEXT PRIMARY KEY, secret TEXT NOT NULL);
CREATE TABLE device (
    pk TEXT NOT NULL REFERENCES product, dn TEXT NOT NULL, secret TEXT NOT NULL, version TEXT,
    PRIMARY KEY (pk, dn));
CREATE TABLE artifact (
    id INTEGER PRIMARY KEY, file TEXT NOT NULL, size INTEGER NOT NULL, version TEXT NOT NULL,
    method TEXT NOT NULL, digest TEXT NOT NULL, digestsign TEXT NOT NULL,
    base TEXT NOT NULL, result INTEGER NOT NULL);
CREATE TABLE "update" (
    id INTEGER PRIMARY KEY, pk TEXT NOT NULL, dn TEXT NOT NULL, artifact INTEGER NOT NULL REFERENCES artifact,
    version TEXT NOT NULL, scheme TEXT NOT NULL, state TEXT NOT NULL, step INTEGER NOT NULL, desc TEXT NOT NULL,
    best INTEGER NOT NULL, failures INTEGER NOT NULL, silent INTEGER NOT NULL, restarts INTEGER NOT NULL, patches INTEGER NOT NULL,
    sent_patch INTEGER NOT NULL, due REAL,
    FOREIGN KEY (pk, dn) REFERENCES device);
CREATE INDEX update_of_device ON "update" (pk, dn, id);
CREATE INDEX update_due ON "update" (due) WHERE due IS NOT NULL;
INSERT INTO product VALUES ('p', 'ps');
INSERT INTO device VALUES ('p', 'd', 'ds', '1.0.0');
INSERT INTO artifact VALUES (3, 'f.bin', 9, '1.1.0', 'SHA256', 'ab', 'cd', '', 0);
INSERT INTO "update" VALUES (7, 'p', 'd', 3, '1.1.0', 'https', 'running', 50, '', 50, 1, 2, 3, 1, 0, NULL);
PRAGMA user_version = 2;
"""


@pytest.fixture(params=["", "DROP INDEX update_due", 'CREATE INDEX update_of_artifact ON "update" (artifact)'])
def former(request, tmp_path):
    """A state of format 2, as it was made at several times, with an update under way."""
    db = sqlite3.connect(tmp_path / "mpota.db")
    db.executescript(FORMAT_2 + request.param)
    db.close()
    return tmp_path


def test_state_of_the_format_before_is_brought_up(former):
    want = rules.Update(7, "p", "d", 3, "1.1.0", "https", "running", 50, "", 50, 1, 2, 3, due=None)
    for _ in range(2):
        store = Store(former)
        assert store.latest("p", "d") == want and store.device("p", "d").version == "1.0.0"
        store.close()
    schemas = []
    for folder in (former, former / "new"):
        store = Store(folder, create=True)
        schemas.append(sorted(tuple(row) for row in store._all("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")))
        assert store._all("PRAGMA user_version")[0][0] == store_module.FORMAT
        assert not store._all("PRAGMA foreign_key_check") and store._all("PRAGMA integrity_check")[0][0] == "ok"
    assert schemas[0] == schemas[1]


def test_state_of_the_format_before_is_not_taken_from_its_server(former):
    with running.only_server(former):
        (former / "server.json").touch()
        with pytest.raises(ToolError, match="server of an older mpota"):
            Store(former)
    assert Store(former).latest("p", "d").step == 50


def test_state_that_two_bring_up_at_once_is_brought_up_once(former):
    db = sqlite3.connect(former / "mpota.db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    found = []
    others = [threading.Thread(target=lambda: found.append(Store(former).devices())) for _ in range(2)]
    for other in others:
        other.start()
    time.sleep(0.3)
    db.execute("COMMIT")
    for other in others:
        other.join()
    assert [[device.dn for device in devices] for devices in found] == [["d"]] * 2


def test_state_that_cannot_be_brought_up_stays_as_it_was(former, monkeypatch):
    monkeypatch.setattr(store_module, "_FROM_2", store_module._FROM_2 + "; no SQL")
    with pytest.raises(ToolError, match="syntax error"):
        Store(former)
    monkeypatch.undo()
    assert Store(former).latest("p", "d").step == 50


@pytest.fixture
def forgiving(store):
    """As in a server that lies itself (`mpota serve --chaos`)."""
    return Service(store, lambda artifact, scheme: "https://host/x", forgiving=True)


@pytest.mark.parametrize("desc", ["1025 digestsign is wrong", "1050 digest differs", "1043 connection lost too often"])
def test_no_refusal_is_final_to_a_server_that_lies_itself(store, forgiving, desc):
    publish(store, "1.1.0")
    inform(forgiving, "1.0.0")
    for n in range(1, 6):
        progress(forgiving, -1, desc, NOW + 10 * n)
        assert forgiving.poll(NOW + 10 * n + 1)[0] == []
        assert versions(forgiving.poll(NOW + 10 * n + 2)[0]) == ["1.1.0"]
    assert store.latest(PK, DN).patches


def test_image_that_did_not_work_stays_a_failure_even_there(store, forgiving):
    publish(store, "1.1.0")
    inform(forgiving, "1.0.0")
    progress(forgiving, 100)
    progress(forgiving, -1, "1090 not confirmed in its trials")
    assert store.latest(PK, DN).state == "failed" and forgiving.poll(NOW + 100)[0] == []
