"""The service as an object: messages in, messages out, the store in a file."""
# SPDX-License-Identifier: MIT

import json
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from mpota import messages, rules
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


def publish(store, version, scheme="https"):
    artifact = Artifact(0, f"{version}.bin", 1000, version, "SHA256", "ab" * 32, "c2ln")
    return store.publish(artifact, store.devices(), scheme)[0]


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
