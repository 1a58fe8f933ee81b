"""Whole updates on real boards: the good way, and every way back."""
# SPDX-License-Identifier: MIT

import re
import time
from dataclasses import replace

import pytest
from mpota import image, keys, patching, publish
from mpota.store import Store

from e2e.conftest import wait_until
from e2e.firmware import BOARD, DIGEST_KEY

PATIENT_S = 60
HEAD_MAX = 1024  # more than any head of an HTTP answer
TLS_MAX = 32768  # more than what TLS adds to a fetch
GIVEN_UP = ("hang", "crash", "raises")


def steps(events):
    return [int(event) for event in events if event.isdigit()]


def marks(lamp, slot):
    return lamp.marks(BOARD.slots[slot])


def has_version(server, lamp, version):
    server.wait_event(lamp.name, f"{re.escape(version)} updated")
    row = server.status(lamp.name)
    assert (row["version"], row["state"]) == (version, "updated")


def test_good_update_is_told_in_steps_and_done_when_the_new_version_informs(server, firmware, new_lamp):
    lamp = new_lamp()
    server.push(firmware.image("1.1.0"), lamp)
    lamp.expect(r"ota: update to 1\.1\.0, \d+ bytes$")
    lamp.expect(r"ota: committed, restarting$")
    lamp.expect(r"second boot: slot B, trial 1 of 3$")
    lamp.expect(r"ota: confirmed 1\.1\.0$")
    has_version(server, lamp, "1.1.0")
    events = server.events(lamp.name)
    told = steps(events)
    assert told[-1] == 100 and told == sorted(set(told)), told
    assert events == ["runs 1.0.0", "told of 1.1.0", *map(str, told), "runs 1.1.0", "1.1.0 updated"]
    assert re.fullmatch("SSP+CCTYY", marks(lamp, 1))
    assert lamp.status() == "1.1.0 confirmed, idle, connected"


def test_one_update_follows_another_on_the_same_board(server, firmware, new_lamp):
    lamp = new_lamp(broker=f"mqtts://{server.broker}")
    for version, slot in (("1.1.0", "B"), ("1.2.0", "A")):
        server.push(firmware.image(version), lamp)
        lamp.expect(f"slot {slot}, trial 1 of 3$")
        lamp.expect(f"confirmed {re.escape(version)}$")
        has_version(server, lamp, version)
    lamp.type("reboot")
    lamp.expect("slot A, confirmed$")
    assert server.status(lamp.name)["version"] == "1.2.0"


def test_every_command_answers_at_the_prompt(new_lamp):
    lamp = new_lamp()
    for line, answer in (
        ("help", r"^OTA_APP PK DN DS PS "), ("sysver", r"^linuxhost 1\.0\.0 .*MicroPython v1\.25"), ("netmgr", "^host network$"),
        ("netmgr connect net secret", "^host network$"), ("netmgr nonsense", "^usage: netmgr"), ("OTA_APP a b", "^usage: OTA_APP pk dn ds ps"),
        ("ota nonsense", "^usage: ota status"), ("ota rollback", r"^ota: .*\(1093\)$"), ("nonsense", "^nonsense: no such command"),
        ("ota status", r"^1\.0\.0 confirmed, idle, connected$"), ("reboot", "^second boot: slot A, confirmed"),
    ):  # fmt: skip
        lamp.type(line)
        lamp.expect(answer)
    lamp.expect("otaapp")
    wait_until(lambda: lamp.status() == "1.0.0 confirmed, idle, connected", 60)
    for line in ("ota check", "ota confirm"):
        lamp.type(line)
    assert lamp.status() == "1.0.0 confirmed, idle, connected"


def test_ctrl_c_leaves_the_prompt_to_python(new_lamp):
    lamp = new_lamp()
    lamp.interrupt()
    lamp.expect("^left to Python$")
    lamp.type("print(6 * 7)")
    lamp.expect("^42$")


def test_update_over_plain_mqtt_and_http(server, firmware, new_lamp):
    mqtt, http = server.links["mqtt"], server.links["http"]
    mqtt.forget()
    http.forget()
    lamp = new_lamp(broker=server.plain_broker)
    server.push(firmware.image("1.1.0"), lamp, "--url-scheme", "http")
    lamp.expect(r"confirmed 1\.1\.0$")
    has_version(server, lamp, "1.1.0")
    assert f"{lamp.name.replace('/', '.')}|securemode=3".encode() in mqtt.requests[0]
    assert len(http.requests) == 1 and http.requests[0].startswith(b"GET /")
    assert http.received[0] >= firmware.image("1.1.0").stat().st_size


def test_image_that_ends_where_nobody_is_at_the_prompt_goes_back(server, firmware, new_lamp):
    lamp = new_lamp()
    lamp.hang_up()
    server.push(firmware.image("1.1.0", "raises"), lamp)
    for trial in (1, 2, 3):
        lamp.expect(f"second boot: slot B, trial {trial} of 3$")
        lamp.expect("image ended with status 0$")
    lamp.expect("second boot: slot A, confirmed$")
    server.wait_event(lamp.name, "-1 1090")


@pytest.fixture(scope="module")
def given_up(server, firmware, lasting_lamp):
    """Boards that are sent an image which does not work, all at the same time: the watchdog takes its time."""
    lamps = {app: lasting_lamp() for app in GIVEN_UP}
    for app, lamp in lamps.items():
        server.push(firmware.image("1.1.0", app), lamp)
    return lamps


@pytest.mark.parametrize("app", GIVEN_UP)
def test_image_that_does_not_work_has_three_trials_and_one_report(server, firmware, given_up, app):
    lamp = given_up[app]
    for trial in (1, 2, 3):
        lamp.expect(f"second boot: slot B, trial {trial} of 3$")
        lamp.expect(f"{app}: started$")
        lamp.expect("image died of signal 11$" if app == "crash" else "second boot: watchdog$")
    lamp.expect("second boot: slot A, confirmed$")
    server.wait_event(lamp.name, "-1 1090")
    lamp.wait_for_marks(BOARD.slots[1], "SSP+CCTTTXXR")
    row = server.status(lamp.name)
    assert (row["version"], row["state"]) == ("1.0.0", "failed") and row["desc"].startswith("1090"), row
    lamp.type("reboot")
    lamp.expect("second boot: slot A, confirmed$")
    server.push(firmware.image("1.1.0", app), lamp)
    lamp.expect(r"refused: artifact was rejected before \(1031\)$")
    server.wait_event(lamp.name, r"1\.1\.0 failed: 1031")
    events = server.events(lamp.name)
    assert len([event for event in events if "-1 1090" in event]) == 1, events
    assert not [event for event in events if event.endswith(" updated")], events


def test_watchdog_of_a_trial_is_patient_only_when_it_is_told_to_be(server, firmware, new_lamp):
    lamp = on_trial(server, firmware, new_lamp)
    lamp.interrupt()
    lamp.expect("^KeyboardInterrupt")
    lamp.type("import time; from ota.hal.linuxhost import Board; Board().feed(True); time.sleep(7); print(6 * 7)")
    lamp.expect("42$")
    lamp.type("Board().feed(); time.sleep(7); print('over')")
    lamp.expect("second boot: watchdog$")


def test_rollback_in_a_trial_returns_and_is_reported_once(server, firmware, new_lamp):
    lamp = on_trial(server, firmware, new_lamp)
    lamp.type("ota rollback")
    lamp.expect("second boot: slot A, confirmed$")
    server.wait_event(lamp.name, "-1 1091")
    row = server.status(lamp.name)
    assert (row["version"], row["state"]) == ("1.0.0", "failed") and row["desc"].startswith("1091"), row
    assert len([event for event in server.events(lamp.name) if "-1 1091" in event]) == 1
    assert lamp.status() == "1.0.0 confirmed, idle, connected"


def test_board_that_is_cut_in_a_trial_goes_on_with_it_until_it_is_confirmed(server, firmware, new_lamp):
    lamp = on_trial(server, firmware, new_lamp)
    lamp.cut()
    lamp.start()
    lamp.expect("second boot: slot B, trial 2 of 3$")
    lamp.expect("manual: started$")
    assert "Y" not in marks(lamp, 1)
    lamp.type("ota confirm")
    lamp.expect(r"ota: confirmed 1\.1\.0$")
    assert marks(lamp, 1).endswith("TTYY")
    lamp.type("ota rollback")
    lamp.expect(r"ota: no image to go back to \(1093\)$")
    lamp.type("reboot")
    lamp.expect("second boot: slot B, confirmed$")
    lamp.expect("manual: started$")
    assert lamp.status().startswith("1.1.0 confirmed")


def on_trial(server, firmware, new_lamp):
    """A board with 1.1.0 in its first trial, which its application neither confirms nor gives up by itself."""
    lamp = new_lamp()
    server.push(firmware.image("1.1.0", "manual"), lamp)
    lamp.expect("second boot: slot B, trial 1 of 3$")
    lamp.expect("manual: started$")
    server.wait_event(lamp.name, "runs 1.1.0")
    assert lamp.status() == "1.1.0 trial, idle, connected"
    return lamp


def test_board_killed_in_mid_fetch_resumes_from_its_mark(server, firmware, new_lamp):
    image = firmware.image("1.1.0")
    size = image.stat().st_size
    http = server.links["http"]
    lamp = new_lamp(broker=server.plain_broker)
    with http.held(size // 2):
        server.push(image, lamp, "--url-scheme", "http")
        http.wait_held()
        lamp.wait_for_marks(BOARD.slots[1], f"SSP{{{marks_of(size // 2 - HEAD_MAX, size)},}}")
        lamp.cut()
    lamp.start()
    offset = int(lamp.expect(r"fetch resumes at (\d+)$")[1])
    lamp.expect(r"confirmed 1\.1\.0$")
    has_version(server, lamp, "1.1.0")
    first, second = http.requests
    assert b"Range:" not in first and f"Range: bytes={offset}-".encode() in second
    fetched_twice = sum(http.received) - size
    assert fetched_twice <= size // 64 + BOARD.sector + 2 * HEAD_MAX, fetched_twice


def test_fetch_goes_on_after_its_connection_is_cut(server, firmware, new_lamp):
    image = firmware.image("1.1.0")
    size = image.stat().st_size
    https = server.links["https"]
    lamp = new_lamp()
    with https.held(size // 2):
        server.push(image, lamp)
        https.wait_held()
        https.cut()
    in_one_run(lamp)
    has_version(server, lamp, "1.1.0")
    assert len(https.received) == 2
    assert sum(https.received) <= size + size // 64 + BOARD.sector + TLS_MAX


def test_fetch_goes_on_after_its_server_was_restarted(server, firmware, new_lamp):
    image = firmware.image("1.1.0")
    size = image.stat().st_size
    http = server.links["http"]
    lamp = new_lamp(broker=server.plain_broker)
    with http.held(size // 2):
        server.push(image, lamp, "--url-scheme", "http")
        http.wait_held()
        server.restart(meanwhile=http.cut)  # what the system of a machine that went down had still to send is lost too
    in_one_run(lamp)
    has_version(server, lamp, "1.1.0")
    assert b"If-Range: " in http.requests[-1]
    assert sum(http.received) <= size + size // 64 + BOARD.sector + len(http.received) * HEAD_MAX


def test_board_without_its_broker_tries_again_ever_later_and_informs_anew(server, new_lamp):
    lamp = new_lamp()
    link = server.links["mqtts"]
    link.down()
    times = []
    try:
        for _ in range(3):
            lamp.expect("ota: no broker")
            times.append(time.monotonic())
    finally:
        link.up()
    pauses = [after - before for before, after in zip(times, times[1:])]
    for pause, least_s in zip(pauses, (0.5, 1)):
        assert least_s - 0.1 <= pause <= 2 * least_s + 2, pauses
    wait_until(lambda: server.events(lamp.name).count("runs 1.0.0") == 2, 15, lambda: server.events(lamp.name))
    assert lamp.status() == "1.0.0 confirmed, idle, connected"


def test_patch_is_sent_to_whom_runs_its_base_and_the_image_to_others(server, new_lamp, firmware):
    first, second = new_lamp(), new_lamp(firmware.image("1.0.5"), version="1.0.5")
    options = ("--image-key", firmware.image_key, "--base", firmware.image("1.0.0"), "--device", second.name)
    server.push(firmware.image("1.1.0"), first, *options)
    assert int(first.expect(r"update to 1.1.0, (\d+) bytes")[1]) < 10_000
    assert int(second.expect(r"update to 1.1.0, (\d+) bytes")[1]) == firmware.image("1.1.0").stat().st_size
    for lamp in (first, second):
        lamp.expect("confirmed 1.1.0", PATIENT_S)
        server.wait_event(lamp.name, "1.1.0 updated")


def test_patch_of_another_base_is_answered_with_the_image(server, new_lamp, firmware):
    """The board runs a program that calls itself 1.0.0 like the base, and is not it."""
    lamp = new_lamp(firmware.image("1.0.0", "manual"), version=None)
    lamp.type("ota confirm")
    lamp.expect("confirmed 1.0.0")
    server.wait_event(lamp.name, "runs 1.0.0")  # who is not known to run a base is sent the image
    server.push(firmware.image("1.1.0"), lamp, "--image-key", firmware.image_key, "--base", firmware.image("1.0.0"))
    lamp.expect(r"refused: patch was made for another base \(1073\)", PATIENT_S)
    lamp.expect("confirmed 1.1.0", PATIENT_S)
    server.wait_event(lamp.name, "1.1.0 updated")


def test_patch_that_does_not_decode_is_answered_with_the_image(server, new_lamp, firmware):
    """Signed as it should be, but damaged before it was."""
    base, path = firmware.image("1.0.0"), firmware.image("1.1.0")
    result, data = image.load(path)
    damaged = bytearray(patching.make(base.read_bytes(), data, path, state=8192))
    damaged[len(damaged) // 4] ^= 0x40  # ahead of the image's signature
    signed = patching.wrap(bytes(damaged), result, keys.load_private(firmware.image_key))
    lamp, key, store = new_lamp(), keys.load_digest_key(DIGEST_KEY), Store(server.folder)
    patch = replace(publish.serve(server.folder, signed, "1.1.0", key), base="1.0.0")
    store.publish(publish.prepare(server.folder, path, key), [store.device(*lamp.name.split("/"))], "https", [patch])
    lamp.expect(r"refused: .* \((1074|1075|1005)\)", PATIENT_S)
    lamp.expect("confirmed 1.1.0", PATIENT_S)
    server.wait_event(lamp.name, "1.1.0 updated")


def in_one_run(lamp):
    """The update comes to its end without a restart of the board in between."""
    lamp.expect(r"confirmed 1\.1\.0$")
    said = [line.partition(",")[0] for line in lamp.log if re.match("ota: (update|fetch|refused|committed)", line)]
    assert said == ["ota: update to 1.1.0", "ota: committed"], lamp.log


def marks_of(n_bytes, size):
    """The least number of progress marks once this many bytes are in flash."""
    return n_bytes // BOARD.sector * BOARD.sector * 64 // size
