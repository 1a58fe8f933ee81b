"""What the fuzzers start from: a few good inputs for each target. Those that a run found worth keeping are in corpus/."""
# SPDX-License-Identifier: MIT

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]

import otacore

_PATCHES = ("raw-8192", "raw-16384", "thumb-4096", "xtensa-4096", "x86-64-8192", "arm-8192")


def image():
    for payload in (b"", bytes(50), bytes(range(256)) * 9):
        yield b"\0" + otacore.image(payload)
    yield b"\7" + otacore.image(bytes(50), key="test-rsa2048-foreign")
    yield b"\1" + otacore.image(bytes(50), options=("--non-bootable",))


def trailer():
    def slot(*kinds, sequence=1):
        numbers = {"S": 3000, "P": 3000, "C": sequence, "X": 1090}
        marks = (otacore.mark(kind, 1 if kind in "PT" else 0, numbers.get(kind, 0), b"\5" + bytes(5)) for kind in kinds)
        return b"".join(marks).ljust(240, b"\xff")

    confirmed = slot(*"SSPCCTYY")
    for flags, other in ((1, slot()), (3, slot(*"SSPP", sequence=2)), (3, slot(*"SSPCC", sequence=2)), (7, slot(*"SSPCCTTT", sequence=2)),
                         (7, slot(*"SSPCCTXXR", sequence=2)), (11, slot(*"SSPCCT", sequence=2))):
        yield bytes([flags]) + confirmed + other


def patch():
    vectors = ROOT / "tests" / "vectors" / "patch-4"
    for name in _PATCHES:
        old = (vectors / f"{name}.old").read_bytes()
        yield b"\0" + len(old).to_bytes(2, "little") + old + (vectors / f"{name}.patch").read_bytes()


def ymodem():
    whole = otacore.image(bytes(50), counter=5)
    first = b"S\0" + f"a.img\0{len(whole)}".encode().ljust(128, b"\0")
    last = b"ES\0" + bytes(128)
    yield b"T" + first + b"L\1" + whole.ljust(1024, b"\x1a") + last
    blocks = [whole[i : i + 128].ljust(128, b"\x1a") for i in range(0, len(whole), 128)]
    yield first + b"".join(b"S" + bytes([i + 1]) + block for i, block in enumerate(blocks)) + last
    yield first + b"S\1" + blocks[0] + b"S\1" + blocks[0] + b"CC"


def message():
    data = {"url": "http://host:80/a.img", "version": "1.2.3", "size": 1234, "signMethod": "SHA256", "sign": "0a" * 32,
            "digestsign": "QUJD", "isDiff": 1}
    md5 = {"url": "coap://host/a", "version": "1.2", "size": 9, "md5": "0a" * 16}
    for fields in (data, md5, {}):
        yield json.dumps({"code": "1000", "id": 1, "message": "success", "data": fields}).encode() + b"\0"
    yield b'{"id": 0, "params": {"version": "1.0.0"}}'


def http():
    body = bytes(600)
    tagged = b'ETag: "abc"\r\n'
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 600\r\n" + tagged + b"\r\n" + body
    rest = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 512-599/600\r\nContent-Length: 88\r\n" + tagged + b"\r\n" + body[:88]
    yield b"\0\xff" + whole + b"\xf5" + rest
    yield b"\0\7" + whole + b"\xf5" + whole
    yield b"\0\xff" + whole[:300] + b"\xf5" + b"HTTP/1.1 416 Range Not Satisfiable\r\n\r\n"
    yield b"\0\xffHTTP/1.1 302 Found\r\nLocation: http://peer/b\r\n\r\n\xf5" + whole
    for to in (b"?t=1", b"//peer/b", b"b?u=http://c", b"HTTPS://peer/b", b"ftp://peer", b"\xff"):
        yield b"\0\xffHTTP/1.1 307 Go\r\nlocation: " + to + b"\r\n\r\n\xf5" + whole
    yield b"\0\xffHTTP/1.1 300 Choose\r\n\r\n\xf5" + whole
    yield b"\0\xffHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n" + body[:16]


def coap():
    def answer(code, *rest):  # piggybacked; six bytes of length each, and the flag that it answers
        text = bytes([0x68, code]) + b"".join(rest)
        size = -(-(len(text) + 10) // 6)
        return bytes([size, 1]) + text.ljust(size * 6 - 10, b"\0")

    block = b"\xd1\x0a\x0e" + b"\xff" + bytes(1024)  # Block2 0/1/1024
    token = b"\xc1\x32\xff" + b'{"token":"abcdef"}'
    yield b"\0" + answer(69, block) + answer(69, b"\xd1\x0a\x1e\xff" + bytes(1024)) + answer(69, b"\xd1\x0a\x26\xff" + bytes(952))
    yield b"\1" + answer(69, token) + answer(69, block)
    yield b"\2" + answer(69, token) + answer(68) + answer(69, b"\x61\x05\x61\x32\xff{}")
    yield b"\2" + answer(129) + b"\2\0\x60\0\0\1" + answer(69, token)


def mqtt():
    topic = b"/ota/device/upgrade/pk/dn"
    body = len(topic).to_bytes(2, "big") + topic + b'{"data": {}}'
    opening = b"\x20\x02\0\0" + b"\x90\x03\0\1\0" + b"\x90\x03\0\2\1"
    yield b"\xff" + opening + b"\x40\x02\0\3" + bytes([0x30, len(body)]) + body
    yield b"\3" + opening + b"\x40\x02\0\3" + b"\xd0\0" + bytes([0x32, len(body) + 2]) + body[: 2 + len(topic)] + b"\0\1" + body[2 + len(topic) :]


TARGETS = {f.__name__: f for f in (image, trailer, patch, ymodem, message, http, coap, mqtt)}


def write(folder):
    for name, seeds in TARGETS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i, seed in enumerate(seeds()):
            (folder / name / f"seed-{i}").write_bytes(seed)
