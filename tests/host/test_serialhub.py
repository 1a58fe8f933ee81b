"""The emulated board's serial port, in the hands of clients that do not keep to RFC 2217."""
# SPDX-License-Identifier: MIT

import contextlib
import random
import socket
from urllib.parse import urlsplit

import pytest

from mpota.serialhub import SerialHub

COM_PORT = b"\xff\xfa\x2c"
END = b"\xff\xf0"


@pytest.fixture
def hub():
    hub = SerialHub(lambda download: None)
    yield hub
    hub.close()


def connect(url):
    return socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=5)


def heard(hub):
    """Whether what a client says reaches the board."""
    board, uart = socket.socketpair()
    with board, connect(hub.url) as client:
        hub.attach(uart)
        client.sendall(b"help")
        board.settimeout(5)
        said = b""
        while b"help" not in said and (data := board.recv(1000)):  # behind what was on its way before
            said += data
        return b"help" in said


@pytest.mark.parametrize("command", range(13))
def test_request_without_its_value_ends_only_its_connection(hub, command):
    for value in (b"", b"\x07", b"\xee" * 5):
        with connect(hub.rfc2217_url) as client:
            client.sendall(COM_PORT + bytes([command]) + value + END)
            with contextlib.suppress(TimeoutError, ConnectionError):
                client.recv(1000)
    assert heard(hub)


def test_noise_ends_nothing_but_its_connection(hub):
    chance = random.Random(7)
    for _ in range(200):
        with connect(hub.rfc2217_url) as client, contextlib.suppress(ConnectionError):
            for _ in range(20):
                start = chance.choice([b"", b"\xff", b"\xff\xfa", COM_PORT])
                client.sendall(start + chance.randbytes(chance.randrange(8)) + chance.choice([b"", END]))
    assert heard(hub)
