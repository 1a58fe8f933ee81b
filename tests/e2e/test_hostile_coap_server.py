"""CoAP servers that no board should believe. Whatever they do, one reason is told and the running image stays."""
# SPDX-License-Identifier: MIT

import itertools

import pytest
from aiocoap.numbers import codes
from mpota import pki

from coap.peer import RST, empty, raw
from e2e import firmware
from e2e.coapcloud import CoapShop, block, honest
from e2e.conftest import FOLDER, HERE
from e2e.firmware import notice

NEWER = "1.11.0"
LENGTH = 16_384
PAGE = b"<html><body>Please log in to this network.</body></html>"
PATIENT_S = 120

pytestmark = pytest.mark.parametrize("target", ["coap"], indirect=True, scope="module")

_numbers = itertools.count(1 << 24)


def fresh():
    """An artifact that no other test has."""
    return next(_numbers).to_bytes(4, "big") * (LENGTH // 4)


def refuses(target, shop, answer, code):
    body = fresh()
    target.refuses(notice(body, shop.offer(body, answer), NEWER), code, PATIENT_S)


def status(code):
    return lambda request, body: [raw(code, request, payload=b"no")]


def lies(**options):
    """The right block with something wrong about it."""
    return lambda request, body: [block(request, body, **options)]


def resets(request, body):
    return [empty(RST, request.mid)]


def tag_that_never_lasts(request, body):
    """Each is good for six blocks: enough for a mark."""
    return [block(request, body, etag=(next(_numbers) // 6).to_bytes(4, "big"))]


def other_length(change):
    return lambda request, body: [block(request, body[:change] if change < 0 else body + bytes(change), size2=None)]


ANSWERS = {
    "4.04": (status(codes.NOT_FOUND), 1040), "4.08": (status(codes.REQUEST_ENTITY_INCOMPLETE), 1040),
    "5.00": (status(codes.INTERNAL_SERVER_ERROR), 1040), "2.03": (status(codes.VALID), 1040), "2.04": (status(codes.CHANGED), 1040),
    "a page": (lambda request, body: [raw(codes.CONTENT, request, payload=PAGE)], 1042),
    "a page of the length": (lambda request, body: [block(request, PAGE.ljust(len(body)))], 1050),
    "shorter": (other_length(-1), 1042), "much shorter": (other_length(-5000), 1042), "longer": (other_length(1), 1042),
    "another Size2": (lies(size2=LENGTH + 1), 1042), "Size2 of 4 GiB": (lies(size2=0xFFFFFFFF), 1042),
    "another block": (lies(block2=(1, True, 6)), 1041), "the last block there is": (lies(block2=(0xFFFFF, False, 6)), 1041),
    "a block cut short": (lies(payload=bytes(100)), 1041),
    "a block without number": (lies(block2=None), 1042), "ever another entity tag": (tag_that_never_lasts, 1041),
    "resets": (resets, 1043),
}  # fmt: skip


@pytest.mark.parametrize("answer,code", ANSWERS.values(), ids=ANSWERS)
def test_answer_is_refused(target, coap_shop, answer, code):
    refuses(target, coap_shop, answer, code)


def test_dtls_certificate_of_another_ca_is_refused(target):
    (FOLDER / "coap-stranger").mkdir()
    stranger = CoapShop(pki.prepare(FOLDER / "coap-stranger", HERE))
    try:
        refuses(target, stranger, honest, 1044)
        assert stranger.visits == []
    finally:
        stranger.stop()


def test_dtls_certificate_of_another_host_is_refused(target, certificates):
    """127.0.0.3 is not among the names of the certificate."""
    elsewhere = CoapShop(certificates, "127.0.0.3")
    try:
        refuses(target, elsewhere, honest, 1044)
        assert elsewhere.visits == []
    finally:
        elsewhere.stop()


def test_fetch_goes_on_after_a_reset(target, coap_shop):
    image = firmware.image(NEWER, fresh(), counter=5, key=firmware.FOREIGN_KEY)
    asked = itertools.count()
    url = coap_shop.offer(image, lambda request, body: resets(request, body) if next(asked) in (9, 12) else honest(request, body))
    target.refuses(notice(image, url, NEWER), 1006, PATIENT_S)
    assert len(coap_shop.visits_to(url)) == 1, "it resumed from a mark"
