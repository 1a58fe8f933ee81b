"""Updates over CoAP and CoAPS, with every download, through `mpota serve` and real boards."""
# SPDX-License-Identifier: MIT

import json

import pytest
from mpota import pki
from mpota.coapserver import CoapServer
from mpota.noise import Noise
from mpota.store import Store

from e2e.air import Air
from e2e.conftest import HERE, SECRET, THERE, Lamp
from e2e.firmware import DIGEST_KEY, PRODUCT, notice
from e2e.host import Server

TRANSPORTS = ("mqtts", "mqtt", "coaps", "coap")
DOWNLOADS = ("https", "http", "coaps", "coap")


@pytest.fixture(scope="module")
def air(server):
    """The UDP ports of the server, as boards see them."""
    running = [Air((THERE, server.address[name]), (HERE, server.address[name])) for name in ("coap_port", "coaps_port")]
    yield running
    for each in running:
        each.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_download_works_with(transport, server, firmware, new_lamp, air):
    lamp = new_lamp(broker=f"{transport}://{THERE}:{server.address[f'{transport}_port']}")
    for number, download in enumerate(DOWNLOADS, 1):
        if download in ("http", "coap"):
            lamp.type(f"ota download {download}")
            lamp.type("reboot")
            lamp.expect("otaapp")
        version = f"1.{number}.0"
        before = [each.noise.counts["passed"] for each in air]
        server.push(firmware.image(version), lamp, "--url-scheme", download)
        lamp.expect(f"confirmed {version}", 60)
        blocks = firmware.image(version).stat().st_size // 1024
        used = [each.noise.counts["passed"] - count >= 2 * blocks for each, count in zip(air, before, strict=True)]
        assert used == [download == "coap", download == "coaps"]
    server.wait_event(lamp.name, "1.4.0 updated")


def coap(scheme, server):
    return f"{scheme}://{THERE}:{server.address[f'{scheme}_port']}"


def test_bad_network_delays_an_update_and_no_more(server, firmware, new_lamp):
    relay = Air((THERE, 0), (HERE, server.address["coap_port"]), Noise(7, 0.2, 0.2, 0.2))
    try:
        lamp = new_lamp(broker=f"coap://{THERE}:{relay.address[1]}")
        server.push(firmware.image("1.1.0"), lamp)
        lamp.expect("confirmed 1.1.0", 120)
        assert relay.noise.counts["drop"] and relay.noise.counts["duplicate"] and relay.noise.counts["delay"]
    finally:
        relay.close()


def test_update_by_md5_needs_leave(server, firmware, new_lamp, air):
    lamp = new_lamp(broker=coap("coaps", server))
    server.push(firmware.image("1.1.0"), lamp, "--digest", "md5")
    lamp.expect(r"refused: digest method not accepted \(1023\)")


def test_coaps_with_a_stranger_is_refused_and_nothing_is_sent_to_him(firmware, names, tmp_path):
    certificates = pki.prepare(tmp_path, HERE)
    Store(tmp_path, create=True).close()
    logins = []
    stranger = CoapServer(tmp_path, HERE, lambda *words: logins.append(words), certificates)
    stranger.start()
    lamp = Lamp(firmware, next(names), firmware.image("1.0.0"))
    try:
        lamp.start()
        lamp.type(f"ota server coaps://{HERE}:{stranger.tls_port}")
        lamp.type(f"OTA_APP {PRODUCT} {lamp.dn} {SECRET} unused")
        for _ in range(2):
            lamp.expect("no server, .*1044")
        assert not logins and not [line for line in lamp.log if "confirmed" in line]
    finally:
        lamp.cut()
        stranger.stop()


def test_linkkits_own_download_is_by_post_after_a_login(server, firmware, clouds):
    """The message comes from one server, the artifact, which has no name of its own, from `mpota serve`."""
    image = firmware.image("1.1.0")
    lamp = Lamp(firmware, "target-19", firmware.image("1.0.0"))
    server.add_device(PRODUCT, lamp.dn, SECRET)
    server.push(image, lamp)
    url = f"coaps://{HERE}:{server.address['coaps_port']}/topic/ota/device/download/{lamp.name}"
    try:
        lamp.join(clouds["coap"].address)
        clouds["coap"].send(lamp.name, notice(image.read_bytes(), url, "1.1.0"))
        lamp.expect("confirmed 1.1.0", 120)
    finally:
        lamp.cut()


def test_registered_secret_survives_a_cut_and_an_update_and_is_never_shown(server, firmware, names, air):
    lamp = Lamp(firmware, next(names), firmware.image("1.0.0"))
    server.mpota("device", "add", PRODUCT, lamp.dn)
    facts = json.loads(server.mpota("device", "show", PRODUCT, lamp.dn, "--json"))
    try:
        lamp.start()
        lamp.type(f"ota server {coap('coaps', server)}")
        lamp.type(f"ota auth {THERE}:{server.address['https_port']}")
        lamp.type(f'OTA_APP {PRODUCT} {lamp.dn} "" wrong-product-secret')
        lamp.expect(r"registration refused \(1046\)")
        lamp.type(f'OTA_APP {PRODUCT} {lamp.dn} "" {facts["product_secret"]}')
        lamp.expect("registered")
        lamp.expect("confirmed 1.0.0")
        lamp.cut()
        lamp.start()
        server.push(firmware.image("1.1.0"), lamp)
        lamp.expect("confirmed 1.1.0")
        assert len([line for line in lamp.log if "registered" in line]) == 1
        assert not [line for line in lamp.log if facts["secret"] in line]
    finally:
        lamp.cut()


@pytest.mark.parametrize("transport,download", [("mqtts", "https"), ("coap", "https"), ("coap", "coap")])
def test_board_gets_there_though_the_server_misbehaves(firmware, names, server, tmp_path, transport, download):
    """mpota serve --chaos, with a seed whose first notification is a lie and whose first file is cut. Over CoAP it is a patch:
    a lost datagram costs the RFC's two seconds."""
    for name in ("ca.pem", "ca-key.pem"):
        (tmp_path / name).write_bytes((server.folder / name).read_bytes())
    lamp = Lamp(firmware, next(names), firmware.image("1.0.0"))
    options = ("--url-scheme", download, "--wait", "--timeout", "400")
    if download == "coap":
        options += ("--image-key", firmware.image_key, "--base", firmware.image("1.0.0"))
    with Server(tmp_path, "--chaos", "137") as bad:
        bad.add_device(PRODUCT, lamp.dn, SECRET)
        try:
            lamp.start()
            lamp.type(f"ota download {download}")
            lamp.type(f"ota server {transport}://{HERE}:{bad.address[f'{transport}_port']}")
            lamp.type(f"OTA_APP {PRODUCT} {lamp.dn} {SECRET} unused")
            lamp.expect("confirmed 1.0.0", 120)
            done = bad.publish(firmware.image("1.1.0"), DIGEST_KEY, lamp.name, *options)
            assert "1.1.0" in done and bad.status(lamp.name)["state"] == "updated"
            assert "chaos notification: digestsign" in bad.log.read_text() and "(1025)" in "".join(lamp.log)
            assert download == "coap" or "chaos file: cut" in bad.log.read_text()
            assert "Traceback" not in bad.log.read_text()
        finally:
            lamp.cut()


def test_mqtts_with_a_stranger_is_refused(firmware, names, tmp_path):
    """Mosquitto with a certificate that another CA signed."""
    lamp = Lamp(firmware, next(names), firmware.image("1.0.0"))
    with Server(tmp_path) as stranger:
        stranger.add_device(PRODUCT, lamp.dn, SECRET)
        try:
            lamp.start()
            lamp.type(f"ota server mqtts://{HERE}:{stranger.address['mqtts_port']}")
            lamp.type(f"OTA_APP {PRODUCT} {lamp.dn} {SECRET} unused")
            lamp.expect("no broker, .*1044")
            assert stranger.status(lamp.name)["version"] is None
        finally:
            lamp.cut()
