"""Linkkit's channel through the real umqtt.simple, against a broker whose bytes are scripted."""

# SPDX-License-Identifier: MIT
from ota.transport import mqtt, net

import umqtt.simple

from fakes import clock
from wires import Wire, no_feed

IDENTITY = ("a1B2c3D4e5F", "dev01", "0123456789abcdef0123456789abcdef")
CONNACK = b"\x20\x02\x00\x00"
SUBACKS = b"\x90\x03\x00\x01\x00\x90\x03\x00\x02\x01"
UPGRADE = b"/ota/device/upgrade/a1B2c3D4e5F/dev01"


def puback(pid):
    return b"\x40\x02" + bytes([pid >> 8, pid & 255])


def length(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def message(payload, topic=UPGRADE):
    return b"\x30" + length(2 + len(topic) + len(payload)) + bytes([len(topic) >> 8, len(topic) & 255]) + topic + payload


class Bench:
    """An Mqtt and the wire to its broker; a new wire for every connection."""

    def __init__(self, rx=CONNACK + SUBACKS):
        self.first = rx
        self.wires = []
        self.got = []
        self.connects = 0
        umqtt.simple.socket = self
        self.mqtt = mqtt.Mqtt(IDENTITY, ("broker", 1883), False, self.got.append, self.connect)
        mqtt.print = lambda *words: None

    def getaddrinfo(self, host, port):
        return [(0, 0, 0, "", (host, port))]

    def socket(self):
        self.wires.append(Wire(self.first))
        return net.Socket(self.wires[-1], 1000, no_feed)

    def connect(self):
        self.connects += 1

    @property
    def wire(self):
        return self.wires[-1]

    def online(self):
        self.mqtt.poll()
        assert self.mqtt.connected and self.connects == 1
        self.wire.tx = b""
        return self

    def send(self, data):
        self.wire.rx += data
        self.mqtt.poll()


def test_connection_tells_who_it_is_and_subscribes():
    bench = Bench()
    bench.mqtt.poll()
    sent = bench.wire.tx
    assert bench.wire.address == ("broker", 1883)
    assert sent[:1] == b"\x10" and b"\0\x04MQTT\x04\xc0\x00\x3c" in sent  # user, password, session kept, 60 s
    assert b"a1B2c3D4e5F.dev01|securemode=3," in sent and b"dev01&a1B2c3D4e5F" in sent
    assert b"1ba83b7a3200015eceaabfb5e7fa0b1e43c0f87b8d72d64ac2ab9ec9bde8676c" in sent
    assert UPGRADE + b"\x00" in sent and b"/ota/device/request/a1B2c3D4e5F/dev01\x01" in sent
    assert bench.connects == 1


def test_message_is_passed_on_one_a_poll():
    bench = Bench().online()
    bench.send(message(b"one") + message(b"two"))
    assert bench.got == [b"one"]
    bench.mqtt.poll()
    assert bench.got == [b"one", b"two"]
    bench.mqtt.poll()
    assert bench.mqtt.connected


def test_reports_go_to_their_topics():
    bench = Bench().online()
    bench.wire.rx = puback(3) + puback(4)
    assert bench.mqtt.inform("1.0.0") is True
    assert b"/ota/device/inform/a1B2c3D4e5F/dev01" in bench.wire.tx and b'"version": "1.0.0"' in bench.wire.tx
    assert bench.mqtt.request("1.0.0") is True
    assert b"/ota/device/request/a1B2c3D4e5F/dev01" in bench.wire.tx
    assert bench.mqtt.report(45) is True
    assert b"/ota/device/progress/a1B2c3D4e5F/dev01" in bench.wire.tx and b'"step": "45"' in bench.wire.tx


def test_message_that_comes_before_the_acknowledgement_is_not_lost():
    bench = Bench().online()
    bench.wire.rx = message(b"upgrade") + puback(3)
    assert bench.mqtt.inform("1.0.0") is True and bench.got == [b"upgrade"]


def test_publish_that_nobody_acknowledges_loses_the_connection():
    bench = Bench().online()
    assert bench.mqtt.inform("1.0.0") is False
    assert not bench.mqtt.connected and bench.wire.closed == 1
    assert bench.mqtt.report(1) is False


def test_broker_that_sends_all_but_the_acknowledgement_is_given_up():
    bench = Bench().online()
    bench.wire.endless = 0xD0  # ping responses of a length that is none
    assert bench.mqtt.inform("1.0.0") is False and not bench.mqtt.connected
    bench = Bench().online()
    bench.wire.endless = 0x50  # packets that mean nothing
    assert bench.mqtt.inform("1.0.0") is False and not bench.mqtt.connected


def test_message_of_any_length_is_cut_to_the_limit():
    bench = Bench().online()
    bench.send(message(b"x" * 3000) + message(b"next"))
    assert len(bench.got[0]) == 2064
    bench.mqtt.poll()
    assert bench.got[1] == b"next"


def test_length_without_end_loses_the_connection():
    bench = Bench().online()
    bench.send(b"\x30" + b"\xff" * 3000)
    assert not bench.mqtt.connected and len(bench.wire.rx) == 3000 - 4


def test_lengths_that_contradict_each_other_lose_the_connection():
    for data in (b"\x30\x00", b"\x30\x05\xff\xff", b"\x30\x02\x00\x05abcde", b"\x32\x03\x00\x01x\x00\x01", b"\x34\x05\x00\x01x\x00\x01"):
        bench = Bench().online()
        bench.send(data + b"\0" * 10 if data[0] == 0x34 else data)
        assert not bench.mqtt.connected, data
        assert bench.wire.closed == 1


def test_connection_that_the_broker_closes_is_noticed():
    bench = Bench().online()
    bench.wire.is_open = False
    bench.mqtt.poll()
    assert not bench.mqtt.connected


def test_broker_that_refuses_is_tried_again_with_growing_pauses():
    bench = Bench(b"\x20\x02\x00\x05")
    pauses = []
    last = clock.now
    while len(bench.wires) < 9:
        before = len(bench.wires)
        bench.mqtt.poll()
        if len(bench.wires) > before:
            pauses.append(clock.now - last)
            last = clock.now
    assert bench.connects == 0 and all(wire.closed for wire in bench.wires)
    limits = [1000, 2000, 4000, 8000, 16000, 16000, 16000, 16000]
    for i in range(8):
        assert limits[i] // 2 <= pauses[i + 1] <= limits[i] + 200, pauses


def test_answers_that_are_none_of_mqtt_do_not_connect():
    for rx in (b"", b"\x20", b"HTTP/1.1 400 Bad Request\r\n\r\n", CONNACK, CONNACK + b"\x90\x03\x00\x07\x00", CONNACK + b"\x90\x03\x00\x01\x80"):
        bench = Bench(rx)
        bench.mqtt.poll()
        assert not bench.mqtt.connected and bench.connects == 0 and bench.wire.closed == 1, rx


def test_reconnection_informs_again():
    bench = Bench().online()
    bench.wire.is_open = False
    bench.mqtt.poll()
    while not bench.mqtt.connected:
        bench.mqtt.poll()
    assert bench.connects == 2


def test_idle_connection_is_kept_alive():
    bench = Bench().online()
    clock.now += 21000
    bench.mqtt.poll()
    assert bench.wire.tx == b"\xc0\0"
    bench.send(b"\xd0\x00")
    assert bench.mqtt.connected and bench.wire.tx == b"\xc0\0"


def test_error_of_the_application_on_connect_is_not_taken_for_the_brokers():
    bench = Bench()

    def fails():
        raise TypeError("a bug")

    bench.mqtt._on_connect = fails
    try:
        bench.mqtt.poll()
        assert False
    except TypeError:
        pass
    assert bench.mqtt.connected


def test_message_that_there_is_no_memory_for_ends_the_connection():
    bench = Bench().online()

    def short(payload):
        raise MemoryError

    bench.mqtt._on_message = short
    bench.send(message(b"x"))
    assert not bench.mqtt.connected and bench.wire.closed


def test_what_there_is_no_memory_to_say_is_said_after_the_next_connection():
    def short(*args):
        raise MemoryError

    bench = Bench()
    bench.mqtt._on_connect = short
    bench.mqtt.poll()
    assert not bench.mqtt.connected and bench.wire.closed
    for say in (lambda mqtt: mqtt.report(1), lambda mqtt: mqtt.request("1.0.0")):
        bench = Bench().online()
        bench.mqtt._publish = short
        assert say(bench.mqtt) is False
        assert not bench.mqtt.connected and bench.wire.closed


def test_close_says_goodbye():
    bench = Bench().online()
    bench.mqtt.close()
    assert bench.wire.tx == b"\xe0\0" and bench.wire.closed == 1 and not bench.mqtt.connected
    bench.mqtt.close()


def pinged(bench, answer):
    """Five seconds and a poll; whether it sent a ping."""
    clock.now += 5000
    bench.mqtt.poll()
    ping = bench.wire.tx == b"\xc0\0"
    if ping:
        bench.wire.tx = b""
        bench.wire.rx += answer
    return ping


def test_broker_that_answers_no_ping_is_left():
    """Something between may keep the connection alive, and acknowledge, long after the broker is gone."""
    bench = Bench().online()
    pings = polls = 0
    while bench.mqtt.connected and polls < 60:
        pings += pinged(bench, b"")
        polls += 1
    assert pings == 2 and polls < 20 and len(bench.wires) == 1


def test_broker_that_answers_pings_is_kept():
    bench = Bench().online()
    pings = sum(pinged(bench, b"\xd0\0") for _ in range(720))
    assert bench.mqtt.connected and pings > 120 and len(bench.wires) == 1


def test_broker_that_accepts_and_drops_is_not_stormed():
    """So do two boards with the same name: each throws out the other."""
    bench = Bench()
    connections = 0
    end = clock.now + 600000
    while clock.now < end:
        clock.now += 100
        bench.mqtt.poll()
        if bench.mqtt.connected:
            bench.wire.is_open = False
        connections += len(bench.wires)
        del bench.wires[:-1]
        connections -= len(bench.wires)
    assert 30 < connections < 100
