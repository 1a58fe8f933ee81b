"""Notifications that no server should send."""
# SPDX-License-Identifier: MIT

import hashlib
import json
import threading

import pytest

from e2e import coapcloud, firmware
from e2e import shop as shop_
from e2e.firmware import FOREIGN_KEY, notice

ARTIFACT = bytes(range(256)) * 64
NEWER = "1.11.0"
URL = "https://127.0.0.1:1/never-fetched.bin"

pytestmark = pytest.mark.parametrize("target", ("mqtt", "coap"), indirect=True, scope="module")


def changed(**fields):
    return notice(ARTIFACT, URL, NEWER, **fields)


WHOLE = changed()


@pytest.mark.parametrize("length", [0, 1, 20, len(WHOLE) // 2, len(WHOLE) - 1])
def test_json_that_is_cut_is_refused(target, length):
    if target.cloud.carries(WHOLE[:length]):
        target.refuses(WHOLE[:length], 1020)
    else:  # nothing at all is CoAP's word for nothing new
        target.ignores(WHOLE[:length])


@pytest.mark.parametrize("payload", [b"\0" * 100, b"\xff\xfe{}", b"<html></html>", b"[" * 2000], ids=repr)
def test_what_is_not_json_is_refused(target, payload):
    target.refuses(payload, 1020 if target.cloud.carries(payload) else 1021)


def test_huge_message_is_refused(target):
    target.refuses(changed(filler="x" * target.cloud.huge), 1021)


@pytest.mark.parametrize("message", [[], 1, "text", None, {}, {"data": []}, {"data": "x"}, {"data": 1}], ids=json.dumps)
def test_json_of_another_shape_is_refused(target, message):
    target.refuses(json.dumps(message).encode(), 1022)


def test_message_of_a_failure_is_refused(target):
    target.refuses(json.dumps(json.loads(WHOLE) | {"message": "failed"}).encode(), 1022)


@pytest.mark.parametrize("name", ["url", "size", "version", "sign"])
def test_message_without_a_field_is_refused(target, name):
    target.refuses(changed(without=(name,)), 1022)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("url", 1), ("url", ""), ("url", ["https://a/b"]), ("url", "https://a/b\r\nX: y"), ("url", "https://a/\u00e9"),
        ("size", "16384"), ("size", 16384.5), ("size", True), ("size", 0), ("size", -1), ("size", None), ("size", {}),
        ("version", 2), ("version", ""), ("version", ["2.0.0"]), ("version", "2.0.0\n"), ("version", None),
        ("sign", 5), ("sign", ""), ("sign", "ab" * 31), ("sign", "xy" * 32), ("sign", None), ("sign", "ab" * 16),
        ("signMethod", 1), ("signMethod", None), ("digestsign", 1), ("digestsign", ""), ("digestsign", {}),
    ],
)  # fmt: skip
def test_field_of_a_wrong_type_or_form_is_refused(target, name, value):
    target.refuses(changed(**{name: value}), 1022)


@pytest.mark.parametrize("method", ["SHA1", "CRC", "", "SHA-256"])
def test_unknown_digest_method_is_refused(target, method):
    target.refuses(changed(signMethod=method), 1023)


def test_md5_is_refused_where_sha256_is_asked_for(target):
    digest = hashlib.md5(ARTIFACT).digest()
    target.refuses(changed(signMethod="Md5", sign=digest.hex(), digestsign=firmware.digestsign(digest)), 1023)


@pytest.mark.parametrize(("name", "value"), [("url", "https://a/" + "b" * 503), ("version", "1" * 65)])
def test_field_that_is_too_long_is_refused(target, name, value):
    target.refuses(changed(**{name: value}), 1021)


@pytest.mark.parametrize("url", ["ftp://a/b", "file:///etc/passwd", "coap://a/b", "httpx://a/b", "https:a", "//a/b", "http://127.0.0.1/b"])
def test_url_of_another_scheme_is_refused(target, url):
    target.refuses(changed(url=url), 1026)


@pytest.mark.parametrize("url", ["https://", "https:///b", "https://127.0.0.1:port/b", "https://127.0.0.1:99999/b", "https://a:b:c/d"])
def test_url_without_a_usable_host_is_refused(target, url):
    target.refuses(changed(url=url), 1026)


@pytest.mark.parametrize("size", [0x180000 - 0x1000 + 1, 0x180000, 1 << 31, 1 << 32, 1 << 64])
def test_artifact_larger_than_the_slot_is_refused(target, size):
    target.refuses(changed(size=size), 1027)


def test_missing_digestsign_is_refused(target):
    target.refuses(changed(without=("digestsign",)), 1024)


def test_digestsign_of_a_foreign_key_is_refused(target):
    target.refuses(changed(key=FOREIGN_KEY), 1025)


def test_digestsign_of_another_digest_is_refused(target):
    target.refuses(changed(digestsign=firmware.digestsign(bytes(32))), 1025)


@pytest.mark.parametrize("text", ["AAAA", "A" * 344, "A" * 508], ids=len)
def test_digestsign_that_is_no_signature_is_refused(target, text):
    target.refuses(changed(digestsign=text), 1025)


def test_sign_of_another_artifact_is_refused(target):
    """The digest is replaced, as by somebody who can change the message but has no key."""
    target.refuses(changed(sign=hashlib.sha256(b"another").hexdigest()), 1025)


def test_artifact_with_another_digest_than_announced_is_refused(target, own_shop):
    other = hashlib.sha256(b"another").digest()
    url = own_shop.offer(ARTIFACT)
    target.refuses(notice(ARTIFACT, url, NEWER, sign=other.hex(), digestsign=firmware.digestsign(other)), 1050)


@pytest.mark.parametrize("version", ["1.10.0", "1.10", "app-1.10.0"])
def test_version_that_runs_already_is_refused(target, version):
    target.refuses(notice(ARTIFACT, URL, version), 1010)


@pytest.mark.parametrize("version", ["1.9.0", "1.9.99", "0.255.0", "1.2"])
def test_older_version_is_refused_and_numbers_count(target, version):
    target.refuses(notice(ARTIFACT, URL, version), 1010)


def test_message_that_announces_nothing_is_ignored(target):
    target.ignores(json.dumps({"code": "1000", "data": {}, "id": 1, "message": "success"}).encode())


def test_another_update_while_one_runs_is_refused_and_the_same_one_ignored(target, own_shop, released):
    image = firmware.image("1.11.0", ARTIFACT, counter=5, key=FOREIGN_KEY)
    slowly = shop_.slowly if isinstance(own_shop, shop_.Shop) else coapcloud.slowly
    url = own_shop.offer(image, slowly(released))
    first = notice(image, url, NEWER)
    target.cloud.send(target.name, first)
    target.expect("update to 1.11.0")
    target.cloud.send(target.name, first)
    target.cloud.send(target.name, changed(version="1.12.0"))
    assert target.expect(r"refused: (.*)$")[1] == "another update is running (1029)"
    released.set()
    assert target.expect(r"refused: (.*)$")[1] == "image signed by an unknown key (1006)"
    target.is_unharmed()
    target.cloud.wait_report(target.name, target._handled, lambda step, desc: desc.startswith("1006"))
    assert [desc[:4] for step, desc in target.new_reports() if step < 0] == ["1029", "1006"]
    assert len(own_shop.visits_to(url)) == 1


@pytest.fixture
def released():
    event = threading.Event()
    yield event
    event.set()


def test_nothing_that_was_refused_has_been_fetched(target, own_shop):
    """Whoever cannot sign gets no byte of a fetch; the one exception above has a good signature over a bad digest."""
    url = own_shop.offer(ARTIFACT)
    target.refuses(notice(ARTIFACT, url, NEWER, key=FOREIGN_KEY), 1025)
    target.refuses(notice(ARTIFACT, url, NEWER, without=("digestsign",)), 1024)
    target.refuses(notice(ARTIFACT, url, "1.9.0"), 1010)
    assert own_shop.visits_to(url) == []
