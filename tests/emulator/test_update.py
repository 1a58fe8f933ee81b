"""Whole updates on the emulated ESP8266, from the real server: the good way and every way back."""
# SPDX-License-Identifier: MIT

import contextlib
import hashlib
import itertools
import re
import shutil
import time

import patch_board
import pytest
from e2e import firmware as signed
from e2e.air import Air
from e2e.espboard import EspBoard
from e2e.host import BUILD, Server, build_firmware
from e2e.link import Link
from machine import REPO
from mpota import board as boards
from mpota import patch
from test_second_boot import ymodem

FOLDER = BUILD / "emulator-updates"
PRODUCT, SECRET = "a1mpotachip", "a-device-secret"
WIFI = "netmgr connect mpota mpota-secret"
FACTS = boards.load("esp8266", REPO / "boards")
WELL, HANGS, CRASHES, STARVES, GREEDY, LOST, LENDS, HOARDS = range(8)  # tests/apps/moods
BEHIND = "127.0.0.3"
PATIENT_S = 120
NUMBERS = itertools.count(1)


class Firmware:
    """One program, signed as many versions. name: of the board."""

    def __init__(self, name="esp8266"):
        self.build = BUILD / name
        self.facts = boards.load(name, REPO / "boards")
        self._payload = self.payload("tests/apps/moods")

    def payload(self, app):
        """The program with an application frozen in."""
        variables = {"APP": app, "KEY": signed.IMAGE_KEY, "DIGEST_KEY": signed.DIGEST_KEY, "PRODUCT": PRODUCT}
        build_firmware(FOLDER / f"{self.facts.name}.img", "1.0.0", self.facts.name, **variables)
        return (self.build / "firmware.bin").read_bytes()

    def image(self, version, counter=1, key=signed.IMAGE_KEY, payload=None):
        path = FOLDER / f"{self.facts.name}-{version}-{counter}-{key.stem}.img"
        if not path.exists():
            data = signed.image(version, payload or self._payload, counter, PRODUCT, self.facts.name, key, self.facts.vendor)
            path.write_bytes(data)
        return path


class Lamp(EspBoard):
    """A board with a device name, and the words a test needs of it."""

    def __init__(self, firmware, server, dn, image, **settings):
        super().__init__(firmware.build, FOLDER / dn, image, size=firmware.facts.flash_size, **settings)
        self.facts, self.server, self.dn = firmware.facts, server, dn
        self.name = f"{PRODUCT}/{dn}"
        server.add_device(PRODUCT, dn, SECRET)
        self.flash_at_once(self.facts.slots[0])

    def join(self, version="1.0.0", scheme="mqtt"):
        """Starts, is told at its prompt whom to speak to, and waits until the image is confirmed, unless it is."""
        self.start()
        self.expect("moods: ")
        broker = f"{scheme}://10.0.2.2:{self.server.address[f'{scheme}_port']}"
        for line in (WIFI, f"ota server {broker}", f"OTA_APP {PRODUCT} {self.dn} {SECRET} unused"):
            self.type(line)
        if version:
            self.expect(rf"confirmed {re.escape(version)}$", PATIENT_S)
        return self

    def push(self, image, *options, key=signed.DIGEST_KEY, scheme="http"):
        self.server.publish(image, key, self.name, "--url-scheme", scheme, *options)

    def is_updated(self, version):
        self.expect(rf"confirmed {re.escape(version)}$", PATIENT_S)
        self.has_state(version, "updated")

    def has_state(self, version, state):
        end = time.monotonic() + PATIENT_S
        while (row := self.server.status(self.name))["version"] != version or row["state"] != state:
            assert time.monotonic() < end, row
            time.sleep(0.2)
        return row

    def goes_on(self, version):
        """It runs, and is idle in the end."""
        self.answers("ota status", rf"^{re.escape(version)} confirmed, idle, connected$")

    def answers(self, line, pattern):
        """Types a line until the answer is the one expected."""
        end = time.monotonic() + PATIENT_S
        while True:
            self.type(line)
            self.expect(f"^{line}$", PATIENT_S)
            if re.match(pattern, self.expect(".", PATIENT_S).string):
                return
            assert time.monotonic() < end, self.log[-5:]
            time.sleep(0.2)

    def slot(self, number):
        """SHA-256 of a slot without its trailer."""
        slot = self.facts.slots[number]
        return hashlib.sha256(self.flash.read_bytes()[slot.offset : slot.end - self.facts.sector]).digest()


class Linked(Server):
    """`mpota serve` with a Link before its ports: a board's 10.0.2.2 is this computer's 127.0.0.1."""

    def __enter__(self):
        self.start()
        ports = (self.address[name] for name in ("http_port", "mqtt_port"))
        self.http, self.mqtt = (Link(("127.0.0.1", port), (BEHIND, port)) for port in ports)
        port = self.address["coap_port"]
        self.coap = Air(("127.0.0.1", port), (BEHIND, port))
        return self

    def __exit__(self, *exc):
        self.coap.close()
        self.http.close()
        self.mqtt.close()
        self.stop()


@pytest.fixture(scope="module")
def server():
    shutil.rmtree(FOLDER, ignore_errors=True)
    with Linked(FOLDER / "server", "--bind", BEHIND, "--host", "10.0.2.2") as running:
        yield running


@pytest.fixture(scope="module")
def firmware(server):
    return Firmware()


def lamps_of(server, firmware):
    """Makes boards; their power is off in the end."""
    lamps = []

    def make(version="1.0.0", firmware=firmware, counter=1, **settings):
        lamps.append(Lamp(firmware, server, f"lamp-{next(NUMBERS)}", firmware.image(version, counter), **settings))
        return lamps[-1]

    yield make
    for lamp in lamps:
        lamp.__exit__()


@pytest.fixture
def new_lamp(server, firmware):
    yield from lamps_of(server, firmware)


@pytest.fixture(scope="module")
def lasting_lamp(server, firmware):
    yield from lamps_of(server, firmware)


def test_image_then_patch_then_every_later_start(firmware, new_lamp):
    lamp = new_lamp().join()
    lamp.push(firmware.image("1.1.0"))
    assert int(lamp.expect(r"update to 1\.1\.0, (\d+) bytes")[1]) == firmware.image("1.1.0").stat().st_size
    lamp.is_updated("1.1.0")
    assert re.fullmatch("SSP+CCTYY", lamp.marks(FACTS.slots[1]))
    new = firmware.image("1.2.0", payload=firmware.payload("otaapp"))
    lamp.push(new, "--image-key", signed.IMAGE_KEY, "--base", firmware.image("1.1.0"))
    assert int(lamp.expect(r"update to 1\.2\.0, (\d+) bytes")[1]) < new.stat().st_size // 10
    lamp.expect("^otaapp$", PATIENT_S)
    lamp.is_updated("1.2.0")
    assert lamp.flash.read_bytes()[FACTS.slots[0].offset :][: new.stat().st_size] == new.read_bytes()
    lamp.cut()
    lamp.start()
    lamp.expect("^otaapp$", PATIENT_S)
    lamp.goes_on("1.2.0")


@pytest.fixture(scope="module")
def given_up(firmware, lasting_lamp):
    """Boards that are sent an image that does not work, all at the same time: watchdogs take their time."""
    lamps = {mood: lasting_lamp(watchdog_ms=6000).join() for mood in (HANGS, CRASHES, STARVES)}
    for mood, lamp in lamps.items():
        lamp.push(firmware.image(f"1.1.{mood}"))
    return lamps


@pytest.mark.parametrize("mood", [HANGS, CRASHES, STARVES])
def test_image_that_does_not_work_has_three_trials_and_the_old_one_returns(given_up, mood):
    lamp = given_up[mood]
    lamp.expect("ota: committed", PATIENT_S)
    for _ in range(3):
        lamp.expect(f"moods: {mood}$", PATIENT_S)
        lamp.expect(r"Fatal exception \(15\)" if mood == CRASHES else "^wdt reset$", PATIENT_S)
    lamp.expect("moods: 0$", PATIENT_S)
    row = lamp.has_state("1.0.0", "failed")
    assert row["desc"].startswith("1090")
    lamp.wait_for_marks(FACTS.slots[1], "SSP+CCTTTXXR", PATIENT_S)
    lamp.goes_on("1.0.0")


def test_what_is_not_to_be_trusted_is_refused_and_changes_nothing(firmware, new_lamp):
    lamp = new_lamp(counter=5).join()
    before = lamp.slot(0)
    lamp.push(firmware.image("1.1.0", 5), key=signed.FOREIGN_KEY)
    lamp.expect(r"refused: .* \(1025\)$", PATIENT_S)
    assert lamp.marks(FACTS.slots[1]) == ""
    lamp.has_state("1.0.0", "failed")
    lamp.push(firmware.image("1.2.0", 5, signed.FOREIGN_KEY))
    lamp.expect(r"refused: .* \(1006\)$", PATIENT_S)
    lamp.has_state("1.0.0", "failed")
    lamp.push(firmware.image("1.3.0", 4))
    lamp.expect(r"refused: .* \(1009\)$", PATIENT_S)
    assert lamp.has_state("1.0.0", "failed")["desc"].startswith("1009")
    lamp.type("reboot")
    lamp.expect("moods: 0$", PATIENT_S)
    lamp.goes_on("1.0.0")
    assert lamp.slot(0) == before


def test_wrong_password_is_told_and_the_right_one_connects(new_lamp):
    lamp = new_lamp()
    lamp.start()
    lamp.expect("moods: 0$")
    for typed, told in (
        ("netmgr connect mpota guessed", "wrong password$"),
        ("netmgr connect another mpota-secret", "no such access point$"),
        (WIFI, r"Got ip : 10\.0\.2\.15"),
    ):
        lamp.type(typed)
        lamp.answers("netmgr", told)


def test_fetch_goes_on_after_the_access_point_was_lost(firmware, new_lamp, server):
    lamp = new_lamp().join()
    with half_way(firmware.image("1.1.0"), lamp, server):
        lamp.machine.set_in_reach(False)
        lamp.expect("ota: no broker", PATIENT_S)
        marks = lamp.marks(FACTS.slots[1])
        lamp.machine.set_in_reach(True)
    lamp.is_updated("1.1.0")
    assert lamp.marks(FACTS.slots[1]).startswith(marks) and "Range: bytes=" in server.http.requests[-1].decode()


def test_fetch_goes_on_after_the_server_was_gone(firmware, new_lamp, server):
    lamp = new_lamp().join()
    with half_way(firmware.image("1.1.0"), lamp, server):
        server.stop()
        server.http.cut()
        lamp.expect("ota: no broker", PATIENT_S)
        marks = lamp.marks(FACTS.slots[1])
        server.start()
    lamp.is_updated("1.1.0")
    assert lamp.marks(FACTS.slots[1]).startswith(marks) and "Range: bytes=" in server.http.requests[-1].decode()


def test_good_image_survives_its_trial_on_a_slow_network(firmware, new_lamp, server):
    lamp = new_lamp().join()
    lamp.push(firmware.image("1.1.0"))
    lamp.expect("ota: committed", PATIENT_S)
    server.mqtt.delay_s = 2
    try:
        lamp.is_updated("1.1.0")
    finally:
        server.mqtt.delay_s = 0
    assert lamp.marks(FACTS.slots[1]).endswith("CCTYY")  # one trial


def test_good_image_survives_its_trial_in_a_silent_network(firmware, new_lamp):
    """A name takes lwIP longer than the watchdog has if nobody answers; an address that nobody has takes as long."""
    lamps = {server: new_lamp().join() for server in ("mqtt://nobody.test:1883", "coap://nobody.test:5683", "mqtt://10.0.2.77:1883")}
    for server, lamp in lamps.items():
        lamp.type(f"ota server {server}")
        lamp.push(firmware.image(f"1.1.{LOST}"))
    for server, lamp in lamps.items():
        for _ in range(2):
            lamp.expect(r"ota: no (broker|server), .*11\d", PATIENT_S)
        lamp.type("ota confirm")
        lamp.expect(f"confirmed 1.1.{LOST}$")
        assert lamp.marks(FACTS.slots[1]).endswith("CCTYY"), server  # one trial


def test_watchdog_that_was_lent_is_taken_back(firmware, new_lamp):
    """What blocks for ever must not keep a trial alive."""
    lamp = new_lamp(f"1.0.{LENDS}")
    lamp.start()
    lamp.expect("moods: lent$")
    start = time.monotonic()
    lamp.expect("^wdt reset$", PATIENT_S)
    assert 30 < time.monotonic() - start < 60


@contextlib.contextmanager
def half_way(image, lamp, server):
    """In this context the fetch of the image stands still."""
    with server.http.held(image.stat().st_size // 2):
        lamp.push(image)
        server.http.wait_held(PATIENT_S)
        lamp.wait_for_marks(FACTS.slots[1], "SSP{28,}", PATIENT_S)
        yield


def test_update_survives_an_application_that_takes_all_memory(firmware, new_lamp):
    lamp = new_lamp("1.0.4").join("1.0.4")
    before = lamp.slot(0)
    lamp.push(firmware.image("1.1.0"))
    lamp.expect("moods: nothing left", PATIENT_S)
    lamp.expect(r"refused: not enough memory \(1062\)", PATIENT_S)
    lamp.expect("moods: over it", PATIENT_S)
    assert int(lamp.expect(r"fetch resumes at (\d+)", PATIENT_S)[1]) > 0
    lamp.is_updated("1.1.0")
    assert lamp.slot(0) == before


def test_board_without_the_memory_for_a_patch_is_sent_the_image(firmware, new_lamp):
    lamp = new_lamp("1.0.7").join("1.0.7")
    new = firmware.image("1.1.0")
    lamp.push(new, "--image-key", signed.IMAGE_KEY, "--base", firmware.image("1.0.7"))
    assert int(lamp.expect(r"update to 1\.1\.0, (\d+) bytes", PATIENT_S)[1]) < new.stat().st_size // 10
    lamp.expect(r"refused: patch needs more decoder state \(1072\)", PATIENT_S)
    lamp.is_updated("1.1.0")


def test_two_corrupt_slots_are_rescued_by_ymodem(firmware, new_lamp):
    from machine import Port

    lamp = new_lamp()
    image = firmware.image("1.0.0").read_bytes()
    with lamp.flash.open("r+b") as flash:
        for slot in FACTS.slots:
            flash.seek(slot.offset)
            flash.write(image[:300000] + bytes([image[300000] ^ 0xFF]) + image[300001:])
    port = Port(lamp.machine.url)
    lamp.machine.power_on()
    port.expect("send an image by YMODEM, for slot A\r\n", PATIENT_S)
    ymodem(port, image)
    port.expect("installed.*moods: 0\r", PATIENT_S)
    lamp.machine.power_off()
    port.close()
    lamp.join(None).goes_on("1.0.0")


def test_two_megabyte_board_is_updated(new_lamp):
    firmware = Firmware("esp8266-2m")
    lamp = new_lamp(firmware=firmware).join()
    lamp.push(firmware.image("1.1.0"))
    lamp.is_updated("1.1.0")
    assert re.fullmatch("SSP+CCTYY", lamp.marks(firmware.facts.slots[1]))


def test_no_sector_of_a_patch_between_the_two_takes_too_long(firmware, tmp_path):
    """Its first sectors have it all at once: new bytes, repeats, short copies, and flags and tables that have learned nothing yet."""
    elf = patch_board.build("lx106", tmp_path)
    images = [f.image("1.0.0").read_bytes() for f in (firmware, Firmware("esp8266-2m"))]
    for old, new in (images, images[::-1]):
        assert patch_board.longest("lx106", elf, old, new, patch.make(old, new)) <= patch_board.MOST


def test_image_then_patch_over_coap_alone(firmware, new_lamp, server):
    lamp = new_lamp().join(scheme="coap")
    lamp.type("ota download coap")
    lamp.type("reboot")
    lamp.expect("moods: ")
    lamp.goes_on("1.0.0")
    before = server.coap.noise.counts["passed"], len(server.http.received)
    lamp.push(firmware.image("1.1.0"), scheme="coap")
    lamp.is_updated("1.1.0")
    blocks = -(-firmware.image("1.1.0").stat().st_size // 1024)
    assert server.coap.noise.counts["passed"] - before[0] >= 2 * blocks and len(server.http.received) == before[1]
    new = firmware.image("1.2.0", payload=firmware.payload("otaapp"))
    lamp.push(new, "--image-key", signed.IMAGE_KEY, "--base", firmware.image("1.1.0"), scheme="coap")
    assert int(lamp.expect(r"update to 1\.2\.0, (\d+) bytes")[1]) < new.stat().st_size // 10
    lamp.is_updated("1.2.0")


def test_what_needs_tls_is_refused_and_never_downgraded(new_lamp, server):
    lamp = new_lamp()
    lamp.start()
    lamp.expect("moods: ")
    lamp.type(WIFI)
    before = server.coap.noise.counts["passed"]
    lamp.type(f"ota server coaps://10.0.2.2:{server.address['coap_port']}")
    lamp.type(f"OTA_APP {PRODUCT} {lamp.dn} {SECRET} unused")
    lamp.expect(r"OTA_APP: this board has no TLS or DTLS for it \(1045\)", PATIENT_S)
    lamp.type(f"ota server coap://10.0.2.2:{server.address['coap_port']}")
    lamp.type(f'OTA_APP {PRODUCT} {lamp.dn} "" a-product-secret')
    lamp.expect(r"OTA_APP: this board has no TLS or DTLS for it \(1045\)", PATIENT_S)
    assert server.coap.noise.counts["passed"] == before
