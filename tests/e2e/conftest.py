"""One server, one firmware build and one hand-driven cloud for all end-to-end tests."""
# SPDX-License-Identifier: MIT

import hashlib
import itertools
import re
import shutil
import signal
import time

import pytest
from mpota import pki
from mpota.store import Device

from e2e import firmware as firmware_
from e2e.cloud import Cloud
from e2e.coapcloud import CoapCloud, CoapShop
from e2e.firmware import BOARD, PRODUCT, Firmware
from e2e.host import BUILD, Server
from e2e.linuxboard import LinuxBoard
from e2e.link import Link
from e2e.shop import Shop

FOLDER = BUILD / "e2e"
SECRET = "a-device-secret"
# The server listens on HERE and is known to boards as THERE, where a Link takes their connections.
HERE, THERE = "127.0.0.1", "127.0.0.2"
SLOW_STARTS_S = 30
TEST_S = 90


class Lamp(LinuxBoard):
    """A board with a device name, and the words a test needs of it."""

    def __init__(self, firmware, dn, image):
        super().__init__(firmware.second_boot, FOLDER / dn, image)
        self.dn = dn
        self.name = f"{PRODUCT}/{dn}"

    def join(self, server, version="1.0.0"):
        """Starts, is told at its prompt whom to speak to, and waits until the image is confirmed."""
        self.start()
        self.type(f"ota server {server}")
        self.type(f"OTA_APP {PRODUCT} {self.dn} {SECRET} unused")
        if version:
            self.expect(rf"confirmed {re.escape(version)}$", SLOW_STARTS_S)
        return self

    def status(self):
        """What `ota status` says, once the board is idle."""
        self.type("ota status")
        return self.expect(r"^[\d.+]+ (trial|confirmed), ")[0] and self.log[self._seen - 1]

    def slot(self, number):
        """SHA-256 of a slot without its trailer."""
        slot = BOARD.slots[number]
        with self.flash.open("rb") as flash:
            flash.seek(slot.offset)
            return hashlib.sha256(flash.read(slot.size - BOARD.sector)).hexdigest()


class Served(Server):
    """`mpota serve` with a Link before each of its ports."""

    def start(self, timeout_s=60):
        super().start(timeout_s)
        self.links = {
            name: Link((THERE, self.address[f"{name}_port"]), (HERE, self.address[f"{name}_port"]))
            for name in ("mqtt", "mqtts", "http", "https")
        }
        return self

    def restart(self, meanwhile=lambda: None):
        """Ends the server, does something else, and starts it on the same ports; the Links stay."""
        super().stop()
        meanwhile()
        super().start()

    def stop(self):
        for link in self.links.values():
            link.close()
        super().stop()

    @property
    def broker(self):
        """HOST:PORT with TLS, for a board's prompt."""
        return f"{THERE}:{self.address['mqtts_port']}"

    @property
    def plain_broker(self):
        """The same without TLS."""
        return f"mqtt://{THERE}:{self.address['mqtt_port']}"

    def events(self, device):
        """What the server has said of a device, in order."""
        return [line.split(" ", 1)[1] for line in self.log.read_text().splitlines() if line.startswith(f"{device} ")]

    def wait_event(self, device, pattern, timeout_s=60):
        wait_until(lambda: any(re.search(pattern, event) for event in self.events(device)), timeout_s, lambda: self.events(device))

    def push(self, image, lamp, *options, key=firmware_.DIGEST_KEY):
        return self.publish(image, key, lamp.name, *options)


def wait_until(condition, timeout_s, describe=lambda: ""):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, describe()
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def limit():
    """No test goes on for ever, whatever it waits for."""

    def ended(*_):
        raise TimeoutError(f"the test took more than {TEST_S} s")

    before = signal.signal(signal.SIGALRM, ended)
    signal.alarm(TEST_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def server():
    shutil.rmtree(FOLDER, ignore_errors=True)
    with Served(FOLDER / "server", "--host", THERE) as running:
        yield running


@pytest.fixture(scope="session")
def firmware(server):
    folder = FOLDER / "firmware"
    folder.mkdir()
    return Firmware(folder, server.ca)


@pytest.fixture(scope="session")
def certificates(server):
    return pki.prepare(server.folder, HERE)


@pytest.fixture(scope="session")
def names():
    """Device names that no other test has."""
    return (f"lamp-{number}" for number in itertools.count(1))


@pytest.fixture
def new_lamp(server, firmware, names):
    """Makes boards that know the real server and run `image`; their power is off at the test's end."""
    yield from lamps_of(server, firmware, names)


@pytest.fixture(scope="module")
def lasting_lamp(server, firmware, names):
    """The same; their power is off at the module's end."""
    yield from lamps_of(server, firmware, names)


def lamps_of(server, firmware, names):
    lamps = []

    def make(image=None, broker=None, version="1.0.0"):
        lamp = Lamp(firmware, next(names), image or firmware.image("1.0.0"))
        lamps.append(lamp)
        server.add_device(PRODUCT, lamp.dn, SECRET)
        return lamp.join(broker or server.broker, version)

    yield make
    for lamp in lamps:
        lamp.cut()


@pytest.fixture(scope="session")
def clouds(certificates):
    """One of each channel; both know the same devices."""
    devices = [Device(PRODUCT, f"target-{i}", SECRET) for i in range(20)]
    running = {
        "mqtt": Cloud(FOLDER / "cloud", certificates, devices),
        "coap": CoapCloud(FOLDER / "coap-cloud", certificates, devices),
    }
    yield running
    for each in running.values():
        each.stop()


@pytest.fixture(scope="session")
def coap_shop(certificates):
    """DTLS with the certificate that boards trust."""
    running = CoapShop(certificates)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def shop(certificates):
    """HTTPS with the certificate that boards trust."""
    running = Shop(certificates)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def plain_shop():
    running = Shop()
    yield running
    running.stop()


class Target(Lamp):
    """A board under attack: it runs 1.10.0 with security counter 5 and has to go on doing so."""

    def __init__(self, firmware, cloud, number):
        super().__init__(firmware, f"target-{number}", firmware.image("1.10.0", counter=5))
        self.cloud = cloud
        self.join(cloud.address, "1.10.0")
        self._image = self.slot(0)
        self._handled = len(cloud.reports(self.name))

    def refuses(self, payload, code, timeout_s=30):
        """Sends a notification; one reason must be given, here and there, and nothing must have changed."""
        self.cloud.send(self.name, payload)
        self.has_refused(code, timeout_s)

    def has_refused(self, code, timeout_s=30):
        words, number = self.expect(r"refused: (.*) \((-?\d+)\)$", timeout_s).groups()
        assert int(number) == code, f"refused with {number} {words}"
        self.is_unharmed()
        self.cloud.wait_report(self.name, self._handled, lambda step, _: step < 0)
        reports = self.new_reports()
        assert [f"{code} {words}"] == [desc for step, desc in reports if step < 0], reports
        return reports

    def new_reports(self):
        reports = self.cloud.reports(self.name)[self._handled :]
        self._handled += len(reports)
        return reports

    def ignores(self, payload):
        """Sends a notification; nothing at all must happen."""
        start = len(self.log)
        self.cloud.send(self.name, payload)
        self.cloud.send(self.name, b"!")
        self.has_refused(1020)
        assert len([line for line in self.log[start:] if line.startswith("ota:")]) == 1

    def is_unharmed(self):
        assert self.status() == "1.10.0 confirmed, idle, connected"
        assert self.slot(0) == self._image
        assert not [line for line in self.log if line.startswith("second boot") and "slot A, verified" not in line]


@pytest.fixture(scope="session")
def new_target(firmware, clouds):
    """Makes targets; they stay on until the session ends."""
    numbers = itertools.count()
    targets = []

    def make(channel):
        targets.append(Target(firmware, clouds[channel], next(numbers)))
        return targets[-1]

    yield make
    for target in targets:
        target.cut()


@pytest.fixture(scope="module")
def target(new_target, request):
    """The module's target: every test leaves it as it found it. A module can name its channels; it is MQTT otherwise."""
    return new_target(getattr(request, "param", "mqtt"))


@pytest.fixture
def own_shop(target, shop, coap_shop):
    """Where an artifact is offered in the way of the target's channel."""
    return coap_shop if isinstance(target.cloud, CoapCloud) else shop
