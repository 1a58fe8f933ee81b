"""Whole updates on real boards: the good way, and every way back."""
# SPDX-License-Identifier: MIT

import re

import pytest

from e2e.conftest import THERE, wait_until
from e2e.firmware import BOARD
from e2e.linuxboard import SECTOR

PATIENT_S = 90


def steps(server, lamp):
    """The percentages that the server has seen of a board, in order."""
    return [int(event) for event in server.events(lamp.name) if re.fullmatch(r"\d+", event)]


def marks(lamp, slot):
    return lamp.marks(BOARD.slots[slot])


def test_update_is_fetched_confirmed_and_counted_only_when_the_new_version_runs(server, new_lamp, firmware):
    lamp = new_lamp()
    server.push(firmware.image("1.1.0"), lamp)
    lamp.expect("slot B, trial 1 of 3", PATIENT_S)
    lamp.expect("confirmed 1.1.0")
    server.wait_event(lamp.name, "1.1.0 updated")
    seen = steps(server, lamp)
    assert seen == sorted(seen) and seen[0] >= 1 and seen[-1] == 100 and len(seen) > 10
    events = server.events(lamp.name)
    assert events.index("100") < events.index("runs 1.1.0") < events.index("1.1.0 updated")
    assert re.fullmatch("SSP+CCTYY", marks(lamp, 1))


def test_second_update_goes_to_the_other_slot(server, new_lamp, firmware):
    lamp = new_lamp()
    for version, slot in (("1.1.0", "B"), ("1.2.0", "A")):
        server.push(firmware.image(version), lamp)
        lamp.expect(f"slot {slot}, trial 1 of 3", PATIENT_S)
        lamp.expect(f"confirmed {version}")
        server.wait_event(lamp.name, f"{version} updated")


@pytest.mark.parametrize(("app", "says"), [("hang", "watchdog"), ("crash", "died of signal"), ("raises", "ended with status 1")])
def test_image_that_does_not_work_is_tried_three_times_and_the_way_back_is_reported_once(server, new_lamp, firmware, app, says):
    lamp = new_lamp()
    server.push(firmware.image("1.1.0", app), lamp)
    for trial in (1, 2, 3):
        lamp.expect(f"slot B, trial {trial} of 3", PATIENT_S)
        lamp.expect(says)
    lamp.expect("slot A, confirmed")
    server.wait_event(lamp.name, "1.1.0 failed")
    assert server.status(lamp.name)["desc"] == "1090 not confirmed in its trials"
    assert "1.0.0 confirmed" in lamp.status()
    lamp.cut()
    before = len(server.events(lamp.name))
    lamp.start()
    server.wait_event(lamp.name, "runs 1.0.0")
    wait_until(lambda: len(server.events(lamp.name)) > before, PATIENT_S)
    assert sum("1090" in event for event in server.events(lamp.name)) == 2  # the report, and the outcome
    assert marks(lamp, 1).endswith("TTTXXR")


def test_application_may_roll_back_its_trial(server, new_lamp, firmware):
    lamp = new_lamp()
    server.push(firmware.image("1.1.0", "manual"), lamp)
    lamp.expect("slot B, trial 1 of 3", PATIENT_S)
    lamp.expect("manual: started")
    lamp.type("ota rollback")
    lamp.expect("slot A, confirmed")
    server.wait_event(lamp.name, "1.1.0 failed")
    assert server.status(lamp.name)["desc"] == "1091 rolled back by the application"


def test_application_may_confirm_its_trial_itself(server, new_lamp, firmware):
    lamp = new_lamp()
    server.push(firmware.image("1.1.0", "manual"), lamp)
    lamp.expect("slot B, trial 1 of 3", PATIENT_S)
    server.wait_event(lamp.name, "runs 1.1.0", PATIENT_S)
    assert "Y" not in marks(lamp, 1)
    lamp.type("ota confirm")
    lamp.expect("confirmed 1.1.0")
    assert marks(lamp, 1).endswith("YY")


def test_power_cut_in_a_trial_costs_one_trial_only(server, new_lamp, firmware):
    lamp = new_lamp()
    server.push(firmware.image("1.1.0", "manual"), lamp)
    lamp.expect("slot B, trial 1 of 3", PATIENT_S)
    lamp.cut()
    lamp.start()
    lamp.expect("slot B, trial 2 of 3")
    lamp.expect("manual: started")
    lamp.type("ota confirm")
    lamp.expect("confirmed 1.1.0")


def test_fetch_resumes_from_its_mark_after_a_power_cut(server, new_lamp, firmware):
    lamp = new_lamp()
    image = firmware.image("1.1.0")
    link = server.links["https"]
    link.forget()
    link.hold_after(300_000)
    server.push(image, lamp)
    link.wait_held(PATIENT_S)
    lamp.wait_for_marks(BOARD.slots[1], "SSP{24,}")  # the board is behind what the network has taken
    lamp.cut()
    link.hold_after(None)
    first = link.received[0]
    lamp.start()
    offset = int(lamp.expect(r"fetch resumes at (\d+)", PATIENT_S)[1])
    lamp.expect("confirmed 1.1.0", PATIENT_S)
    size = image.stat().st_size
    again = sum(link.received) - size
    assert 200_000 < offset < first
    assert again < size // 64 + SECTOR + 16_384 + 4 * 8192, "one step, one sector, TLS handshakes and what was under way"


def test_lost_connection_is_resumed_in_the_same_run(server, new_lamp, firmware):
    lamp = new_lamp()
    link = server.links["https"]
    link.forget()
    link.hold_after(300_000)
    server.push(firmware.image("1.1.0"), lamp)
    link.wait_held(PATIENT_S)
    link.cut()
    link.hold_after(None)
    lamp.expect("confirmed 1.1.0", PATIENT_S)
    assert len(link.received) == 2
    assert lamp.log.count("ota: update to 1.1.0, %d bytes" % firmware.image("1.1.0").stat().st_size) == 1


def test_broker_that_was_gone_is_found_again_and_informed(server, new_lamp):
    lamp = new_lamp()
    link = server.links["mqtts"]
    informs = server.events(lamp.name).count("runs 1.0.0")
    link.down()
    lamp.expect("no broker", PATIENT_S)
    link.up()
    wait_until(lambda: server.events(lamp.name).count("runs 1.0.0") > informs, PATIENT_S)
    assert lamp.status().endswith("idle, connected")


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
    server.push(firmware.image("1.1.0"), lamp, "--image-key", firmware.image_key, "--base", firmware.image("1.0.0"))
    lamp.expect(r"refused: patch was made for another base \(1073\)", PATIENT_S)
    lamp.expect("confirmed 1.1.0", PATIENT_S)
    server.wait_event(lamp.name, "1.1.0 updated")


def test_server_that_restarts_keeps_what_it_knows(server, new_lamp, firmware):
    lamp = new_lamp()
    server.restart()
    server.push(firmware.image("1.1.0"), lamp)
    lamp.expect("confirmed 1.1.0", PATIENT_S)
    server.wait_event(lamp.name, "1.1.0 updated")


def test_update_over_plain_mqtt_and_http(server, new_lamp, firmware):
    lamp = new_lamp(broker=f"mqtt://{THERE}:{server.address['mqtt_port']}")
    server.push(firmware.image("1.1.0"), lamp, "--url-scheme", "http")
    lamp.expect("confirmed 1.1.0", PATIENT_S)
    server.wait_event(lamp.name, "1.1.0 updated")
