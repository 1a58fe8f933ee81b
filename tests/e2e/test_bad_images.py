"""Artifacts whose digest is right and whose content is not: each is refused for its own reason, once and for all."""
# SPDX-License-Identifier: MIT

import pytest
from mpota import image as images
from mpota import patching
from mpota import keys

from e2e import firmware
from e2e.firmware import IMAGE_KEY, notice

NEWER = "1.11.0"
PAYLOAD = bytes(range(256)) * 100
GOOD = firmware.image(NEWER, PAYLOAD, counter=5)
PARSED = images.parse(GOOD, "good")
HEADER = 0x200

pytestmark = pytest.mark.parametrize("target", ("mqtt", "coap"), indirect=True, scope="module")


def refuses(target, shop, artifact, code, version=NEWER, **fields):
    target.refuses(notice(artifact, shop.offer(artifact), version, **fields), code)


def flipped(offset, bit=0):
    data = bytearray(GOOD)
    data[offset] ^= 1 << bit
    return bytes(data)


def test_image_for_another_product_is_refused(target, own_shop):
    refuses(target, own_shop, firmware.image(NEWER, PAYLOAD, counter=5, product="a1another"), 1008)


def test_image_for_another_board_is_refused(target, own_shop):
    refuses(target, own_shop, firmware.image(NEWER, PAYLOAD, counter=5, board="esp8266"), 1008)


def test_image_of_another_vendor_is_refused(target, own_shop):
    refuses(target, own_shop, firmware.image(NEWER, PAYLOAD, counter=5, vendor="vendor.example"), 1008)


def test_lower_security_counter_is_refused(target, own_shop):
    refuses(target, own_shop, firmware.image(NEWER, PAYLOAD, counter=4), 1009)


def test_foreign_signature_is_refused(target, own_shop):
    refuses(target, own_shop, firmware.image(NEWER, PAYLOAD, counter=5, key=firmware.FOREIGN_KEY), 1006)


@pytest.mark.parametrize(
    ("offset", "bit", "code"),
    [
        (0, 0, 1001),  # magic
        (8, 0, 1002),  # header size, no multiple of 4
        (12, 0, 1004),  # payload size: the TLVs are not where it says
        (16, 2, 1002),  # flags
        (20, 0, 1005),  # version
        (28, 0, 1005),  # padding
        (100, 0, 1005),  # between header and payload
        (HEADER, 0, 1005),
        (HEADER + len(PAYLOAD) - 1, 7, 1005),
    ],
)
def test_one_changed_bit_in_header_or_payload_is_refused(target, own_shop, offset, bit, code):
    refuses(target, own_shop, flipped(offset, bit), code)


def tlvs():
    """(name, offset of the value) of every TLV."""
    at = HEADER + len(PAYLOAD) + 4
    found = []
    for count in (3, 3):
        for _ in range(count):
            tag, length = int.from_bytes(GOOD[at : at + 2], "little"), int.from_bytes(GOOD[at + 2 : at + 4], "little")
            found.append((images.TLVS[tag][0], at + 4))
            at += 4 + length
        at += 4
    return found


CODES = {"SEC_CNT": 1005, "UUID_VID": 1005, "UUID_CID": 1005, "SHA256": 1005, "KEYHASH": 1006, "RSA2048": 1007}


@pytest.mark.parametrize(("name", "offset"), tlvs(), ids=lambda value: str(value))
def test_one_changed_bit_in_a_tlv_is_refused(target, own_shop, name, offset):
    refuses(target, own_shop, flipped(offset + 1), CODES[name])


def test_image_that_is_cut_short_is_refused(target, own_shop):
    refuses(target, own_shop, GOOD[:-1], 1003)


def test_bytes_behind_the_image_are_refused(target, own_shop):
    refuses(target, own_shop, GOOD + b"\0", 1003)


def test_another_version_than_announced_is_refused(target, own_shop):
    refuses(target, own_shop, GOOD, 1051, version="1.12.0")


def test_image_that_is_announced_as_a_patch_is_refused(target, own_shop):
    refuses(target, own_shop, GOOD, 1002, isDiff=1)


def test_patch_that_is_announced_as_an_image_is_refused(target, own_shop):
    refuses(target, own_shop, patching.wrap(b"MPOP" + bytes(200), PARSED, keys.load_private(IMAGE_KEY)), 1002)


def test_signed_nonsense_that_is_announced_as_a_patch_is_refused(target, own_shop):
    refuses(target, own_shop, patching.wrap(bytes(500), PARSED, keys.load_private(IMAGE_KEY)), 1070, isDiff=1)


def test_artifact_that_was_rejected_is_not_fetched_again(target, own_shop):
    artifact = firmware.image(NEWER, PAYLOAD + b"again", counter=4)
    url = own_shop.offer(artifact)
    target.refuses(notice(artifact, url, NEWER), 1009)
    target.refuses(notice(artifact, url, NEWER), 1031)
    assert len(own_shop.visits_to(url)) == 1
