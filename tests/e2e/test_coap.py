"""Updates over CoAP and CoAPS, with every download, through `mpota serve` and real boards."""
# SPDX-License-Identifier: MIT

import pytest

from e2e.air import Air
from e2e.conftest import HERE, THERE

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
