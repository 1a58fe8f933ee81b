"""The identity of a device, against vectors computed with Python's hmac and RFC 4231."""

# SPDX-License-Identifier: MIT
from ota.transport import linkkit

from fakes import hex_of

PK, DN, DS = "a1B2c3D4e5F", "dev01", "0123456789abcdef0123456789abcdef"


def test_password_is_the_one_of_the_vector():
    assert linkkit.password(PK, DN, DS) == "1ba83b7a3200015eceaabfb5e7fa0b1e43c0f87b8d72d64ac2ab9ec9bde8676c"


def test_hmac_is_the_one_of_the_dynamic_registration_vector():
    text = "deviceName" + DN + "productKey" + PK + "random8Ygb7ULYh53B6OA"
    digest = linkkit.hmac_sha256(b"PsPsPsPsPsPsPsPs", text.encode())
    assert hex_of(digest) == "64cd3a83793b7d4a60477de20e41107938a9a82d0a8ea3d2a761f72d8f61b131"


def test_hmac_is_the_one_of_rfc_4231():
    digest = linkkit.hmac_sha256(b"Jefe", b"what do ya want for nothing?")
    assert hex_of(digest) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def test_hmac_with_a_key_longer_than_a_block_hashes_it_first():
    digest = linkkit.hmac_sha256(b"\xaa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First")
    assert hex_of(digest) == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"


def test_user_name_and_client_id_follow_the_reference():
    assert linkkit.user_name(PK, DN) == "dev01&a1B2c3D4e5F"
    tail = ",timestamp=2524608000000,signmethod=hmacsha256,gw=0,ext=0|"
    assert linkkit.client_id(PK, DN, True) == "a1B2c3D4e5F.dev01|securemode=2" + tail
    assert linkkit.client_id(PK, DN, False) == "a1B2c3D4e5F.dev01|securemode=3" + tail
