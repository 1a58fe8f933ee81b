"""Servers that no board should believe. Whatever they do, one reason is told and the running image stays."""
# SPDX-License-Identifier: MIT

import itertools

import pytest
from mpota import pki

from e2e import firmware
from e2e import shop as shop_
from e2e.conftest import FOLDER, HERE
from e2e.firmware import notice
from e2e.shop import Shop

NEWER = "1.11.0"
LENGTH = 131_072
PATIENT_S = 120


_numbers = itertools.count()


def fresh():
    """An artifact that no other test has: what was rejected once is never fetched again."""
    return next(_numbers).to_bytes(4, "big") * (LENGTH // 4)


def refuses(target, shop, answer, code):
    """Offers an artifact by `answer` and expects that the board gives up with `code`."""
    body = fresh()
    target.refuses(notice(body, shop.offer(body, answer), NEWER), code, PATIENT_S)


@pytest.mark.parametrize("code", [404, 403, 500, 503, 204, 100])
def test_another_status_is_refused(target, shop, code):
    refuses(target, shop, shop_.status(code), 1040)


@pytest.mark.parametrize(
    ("answer", "code"),
    [(shop_.page(), 1042), (shop_.page(LENGTH), 1043), (shop_.page_padded, 1050)],
    ids=["of its own length", "that claims the length", "padded to the length"],
)
def test_page_instead_of_the_artifact_is_refused(target, shop, answer, code):
    refuses(target, shop, answer, code)


@pytest.mark.parametrize("change", [-1, 1, -1000, 1000])
def test_length_that_is_not_the_announced_one_is_refused(target, shop, change):
    refuses(target, shop, shop_.says_length(change), 1042)


def test_body_without_length_that_is_longer_is_refused(target, shop):
    refuses(target, shop, shop_.no_length(1), 1042)


def test_chunked_body_is_refused(target, shop):
    refuses(target, shop, shop_.chunked(), 1040)


def test_what_is_not_http_is_refused(target, shop):
    refuses(target, shop, shop_.not_http(b"\x00\x01garbage\r\n\r\n"), 1040)


@pytest.mark.parametrize("piece", [b"X: y\r\n", b"x" * 100], ids=["list", "line"])
def test_head_without_end_is_refused(target, shop, piece):
    refuses(target, shop, shop_.endless(piece), 1043)


def test_server_that_hangs_up_again_and_again_is_refused(target, shop):
    refuses(target, shop, shop_.hangs_up(0), 1043)


def test_server_that_always_stalls_is_refused(target, shop):
    refuses(target, shop, shop_.stalls(0), 1043)


def test_redirect_loop_is_refused(target, shop):
    refuses(target, shop, shop_.loops, 1040)


def test_redirect_to_plain_http_is_refused(target, shop, plain_shop):
    refuses(target, shop, shop_.redirect(plain_shop.offer(fresh())), 1026)


def test_wrong_content_range_is_refused(target, shop):
    answer = shop_.interrupted(shop_.content_range("bytes 0-{last}/{size}"), 40_000)
    refuses(target, shop, answer, 1041)


def test_certificate_of_another_ca_is_refused(target):
    """The name is right, the signature is not."""
    (FOLDER / "stranger").mkdir()
    stranger = Shop(pki.prepare(FOLDER / "stranger", HERE))
    try:
        refuses(target, stranger, shop_.honest, 1044)
        assert stranger.visits == []
    finally:
        stranger.stop()


def test_certificate_of_another_host_is_refused(target, certificates):
    """127.0.0.3 is not among the names of the certificate."""
    elsewhere = Shop(certificates, "127.0.0.3")
    try:
        refuses(target, elsewhere, shop_.honest, 1044)
        assert elsewhere.visits == []
    finally:
        elsewhere.stop()


def good_image(target):
    """A bootable artifact of the next version, signed by a foreign key: it is fetched whole and refused at its end."""
    return firmware.image(NEWER, fresh(), counter=5, key=firmware.FOREIGN_KEY)


@pytest.mark.parametrize(
    "answer",
    [
        shop_.hangs_up(40_000, times=2),
        shop_.interrupted(shop_.ignores_range, 40_000),
        shop_.interrupted(shop_.honest, 40_000),
    ],
    ids=["hangs up twice", "ignores the range", "is interrupted once"],
)
def test_interrupted_fetch_is_completed(target, shop, answer):
    image = good_image(target)
    url = shop.offer(image, answer)
    target.refuses(notice(image, url, NEWER), 1006, PATIENT_S)
    assert len(shop.visits_to(url)) > 1


def test_redirect_to_a_good_place_is_followed(target, shop):
    image = good_image(target)
    target.refuses(notice(image, shop.offer(image, shop_.redirect(shop.offer(image))), NEWER), 1006, PATIENT_S)
