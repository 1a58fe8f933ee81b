"""Images made by imgtool, whole and with exactly one thing wrong."""

import random
import struct

import pytest

import otacore
from otacore import image, image_verify, tlvs, trust

E_MAGIC, E_HEADER, E_SIZE, E_TLV, E_HASH, E_KEY, E_SIGNATURE, E_PRODUCT, E_COUNTER = range(1001, 1010)
E_KEY_FORMAT = 1011
KEYHASH, SHA256, RSA2048, RSA3072, SEC_CNT, UUID_VID, UUID_CID = 0x01, 0x10, 0x20, 0x23, 0x50, 0x74, 0x75


def code(data, *args, **kwargs):
    return image_verify(data, *args, **kwargs)[0]


def changed(data, offset, new):
    assert data[offset:offset + len(new)] != new, "nothing would change"
    return data[:offset] + new + data[offset + len(new):]


def flipped(data, offset, bit=0):
    return changed(data, offset, bytes([data[offset] ^ 1 << bit]))


def with_tlv(data, tag, new_tag=None, new_size=None):
    """The header of one TLV rewritten."""
    at, size = tlvs(data)[tag]
    return changed(data, at, struct.pack("<HH", tag if new_tag is None else new_tag, size if new_size is None else new_size))


def unprotected_at(data):
    header, protected, payload = struct.unpack_from("<HHI", data, 8)
    return header + payload + protected


def with_unprotected(data, *added):
    """TLVs (tag, value) appended to the unprotected area, its size corrected."""
    extra = b"".join(struct.pack("<HH", tag, len(value)) + value for tag, value in added)
    at = unprotected_at(data) + 2
    return changed(data, at, struct.pack("<H", struct.unpack_from("<H", data, at)[0] + len(extra))) + extra


def without_unprotected(data, tag):
    at, size = tlvs(data)[tag]
    info = unprotected_at(data) + 2
    shorter = struct.pack("<H", struct.unpack_from("<H", data, info)[0] - 4 - size)
    return changed(data, info, shorter)[:at] + data[at + 4 + size:]


def test_image_by_imgtool_is_accepted_and_described():
    r, info = image_verify(image(version="3.4.5+678901", counter=9))
    v = info.version
    assert (r, info.counter, info.payload_size, info.header_size, info.flags) == (0, 9, 768, 32, 0)
    assert (v.major, v.minor, v.revision, v.build) == (3, 4, 5, 678901)
    assert info.total_size == len(image(version="3.4.5+678901", counter=9))


def test_image_signed_with_3072_bits_is_accepted():
    assert code(image(key="test-rsa3072"), trust(["test-rsa3072"])) == 0


def test_image_with_the_longest_header_is_accepted():
    assert code(image(header=4096)) == 0


def test_patch_wrapped_as_not_bootable_is_accepted_and_says_so():
    r, info = image_verify(image(options=("--non-bootable",)))
    assert (r, info.flags) == (0, 0x10)


def test_image_with_the_second_of_two_known_keys_is_accepted():
    assert code(image(key="test-rsa2048"), trust(["test-rsa3072", "test-rsa2048"])) == 0


def test_image_is_accepted_in_any_split():
    data = image()
    assert code(data, splits=range(1, len(data))) == 0
    for seed in range(50):
        r = random.Random(seed)
        assert code(data, splits=r.choices(range(len(data) + 1), k=r.randrange(1, 40))) == 0


def test_bytes_behind_the_image_are_not_consumed():
    core, data = otacore.lib(), image()
    s = otacore.state(core, "image")
    core.ota_image_init(s, len(data) + 100)
    assert core.ota_image_push(s, data + b"\xff" * 100, len(data) + 100) == len(data)
    assert core.ota_image_complete(s)
    assert core.ota_image_push(s, b"\xff", 1) == 0


def test_other_magic_is_refused():
    for offset in range(4):
        assert code(flipped(image(), offset)) == E_MAGIC


@pytest.mark.parametrize("size", [0, 31, 33, 34, 4097, 4100, 0xFFFC])
def test_header_size_out_of_range_is_refused(size):
    assert code(changed(image(), 8, struct.pack("<H", size))) == E_HEADER


@pytest.mark.parametrize("bit", [bit for bit in range(32) if bit != 4])
def test_any_flag_but_not_bootable_is_refused(bit):
    assert code(changed(image(), 16, struct.pack("<I", 1 << bit))) == E_HEADER


def test_image_with_not_bootable_set_later_is_refused():
    assert code(changed(image(), 16, struct.pack("<I", 0x10))) == E_HASH


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0xFFFFFFE0, 0x80000000, 1189])
def test_payload_that_does_not_fit_is_refused(size):
    assert code(changed(image(), 12, struct.pack("<I", size))) == E_SIZE


def test_image_one_byte_larger_than_its_space_is_refused():
    data = image()
    assert code(data, limit=len(data)) == 0
    assert code(data, limit=len(data) - 1) == E_SIZE


def test_image_cut_short_anywhere_is_refused():
    data = image()
    for n in [*range(40), *range(40, len(data), 7), *range(len(data) - 8, len(data))]:
        assert code(data[:n], limit=len(data)) == E_SIZE


def test_space_of_any_size_too_small_is_refused():
    data = image()
    for limit in [*range(40), *range(40, len(data), 7)]:
        assert code(data, limit=limit) == E_SIZE


@pytest.mark.parametrize("magic", [0x6907, 0x6909, 0])
def test_protected_area_with_other_magic_is_refused(magic):
    assert code(changed(image(), 800, struct.pack("<H", magic))) == E_TLV


@pytest.mark.parametrize("magic", [0x6908, 0x6906, 0xFFFF])
def test_unprotected_area_with_other_magic_is_refused(magic):
    assert code(changed(image(), unprotected_at(image()), struct.pack("<H", magic))) == E_TLV


@pytest.mark.parametrize("size", [0, 3, 4, 51, 53, 0xFFFF])
def test_protected_area_of_another_size_than_the_header_says_is_refused(size):
    assert code(changed(image(), 802, struct.pack("<H", size))) == E_TLV


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 8])
def test_header_that_says_another_protected_size_is_refused(size):
    assert code(changed(image(), 10, struct.pack("<H", size))) == E_TLV


@pytest.mark.parametrize("size", [0, 3, 4, 5, 40, 331])
def test_unprotected_area_that_is_too_small_is_refused(size):
    assert code(changed(image(), unprotected_at(image()) + 2, struct.pack("<H", size))) == E_TLV


def test_unprotected_area_larger_than_the_space_is_refused():
    assert code(changed(image(), unprotected_at(image()) + 2, b"\xff\xff")) == E_SIZE


@pytest.mark.parametrize("tag", [KEYHASH, SHA256, RSA2048, SEC_CNT, UUID_VID, UUID_CID])
def test_required_tlv_renamed_to_an_unknown_one_is_missed(tag):
    assert code(with_tlv(image(), tag, new_tag=0x00A0)) == E_TLV


@pytest.mark.parametrize("tag", [KEYHASH, SHA256, RSA2048])
def test_image_without_a_required_tlv_is_refused(tag):
    assert code(without_unprotected(image(), tag)) == E_TLV


@pytest.mark.parametrize("parts", [{"counter": None}, {"vendor": None}, {"cls": None}, {"key": None}])
def test_image_signed_without_a_required_part_is_refused(parts):
    kwargs = {"vendor": otacore.VENDOR, **parts}
    if kwargs["vendor"] is None:  # imgtool derives a class id from the vendor's unless it is a raw UUID
        kwargs["cls"] = "12345678-1234-5678-1234-567812345678"
    assert code(image(**kwargs)) == E_TLV


@pytest.mark.parametrize("tag", [KEYHASH, SHA256, RSA2048, SEC_CNT, UUID_VID, UUID_CID])
@pytest.mark.parametrize("change", [-1, 1, 0x8000])
def test_known_tlv_of_another_length_is_refused(tag, change):
    size = tlvs(image())[tag][1]
    assert code(with_tlv(image(), tag, new_size=size + change)) == E_TLV


def test_tlv_that_leaves_its_area_is_refused():
    last = max((at, tag) for tag, (at, _) in tlvs(image()).items())[1]
    data = with_tlv(image(), last, new_tag=0x00A0, new_size=257)
    assert code(data + b"x", limit=2000) == E_TLV


@pytest.mark.parametrize("tag", [KEYHASH, SHA256, RSA2048])
def test_tlv_met_twice_is_refused(tag):
    at, size = tlvs(image())[tag]
    assert code(with_unprotected(image(), (tag, image()[at + 4:at + 4 + size]))) == E_TLV


def test_two_signatures_are_refused():
    assert code(with_unprotected(image(), (RSA3072, bytes(384)))) == E_TLV


@pytest.mark.parametrize("tag", [SEC_CNT, UUID_VID, UUID_CID])
def test_protected_tlv_moved_to_the_unprotected_area_is_refused(tag):
    at, size = tlvs(image())[tag]
    data = with_unprotected(image(), (tag, image()[at + 4:at + 4 + size]))
    assert code(data) == E_TLV  # in both areas
    assert code(with_tlv(data, tag, new_tag=0x00A0)) == E_TLV  # in the wrong one only


@pytest.mark.parametrize("tag", [KEYHASH, SHA256, RSA2048])
def test_unprotected_tlv_moved_to_the_protected_area_is_refused(tag):
    size = tlvs(image())[tag][1]
    data = image(options=("--custom-tlv", "0x00a1", "0x" + "5a" * size))
    assert code(with_tlv(data, tag, new_tag=0x00A0)) == E_TLV
    moved = with_tlv(with_tlv(data, tag, new_tag=0x00A0), 0x00A1, new_tag=tag)
    assert code(moved) == E_TLV
    core, s = otacore.lib(), otacore.state(otacore.lib(), "image")
    core.ota_image_init(s, len(moved))
    at = tlvs(moved)[tag][0]
    assert core.ota_image_push(s, moved[:at], at) == at
    assert core.ota_image_push(s, moved[at:at + 4], 4) == -E_TLV, "refused where it stands"


def test_unknown_tlvs_are_passed_over():
    assert code(with_unprotected(image(), (0x00A0, b""), (0x00A0, b"twice"), (0x7FFF, bytes(300)))) == 0
    assert code(image(options=("--custom-tlv", "0x00a1", "0x010203"))) == 0


def test_one_flipped_bit_in_the_header_is_refused():
    refusals = {code(flipped(image(), offset, bit)) for offset in range(32) for bit in range(8)}
    assert 0 not in refusals
    assert refusals == {E_MAGIC, E_HEADER, E_SIZE, E_TLV, E_HASH}


@pytest.mark.parametrize("offset", [4, 20, 21, 22, 24, 28, 31])
def test_one_flipped_bit_in_a_field_without_rules_breaks_the_hash(offset):
    assert code(flipped(image(), offset)) == E_HASH


def test_one_flipped_bit_in_the_payload_breaks_the_hash():
    for offset in range(32, 800, 13):
        assert code(flipped(image(), offset, offset % 8)) == E_HASH


def test_one_flipped_bit_in_the_header_padding_breaks_the_hash():
    assert code(flipped(image(header=64), 40)) == E_HASH


@pytest.mark.parametrize("tag,expected", [(SEC_CNT, E_HASH), (UUID_VID, E_HASH), (UUID_CID, E_HASH), (SHA256, E_HASH),
                                          (KEYHASH, E_KEY), (RSA2048, E_SIGNATURE)])
def test_one_flipped_bit_in_a_tlv_is_refused(tag, expected):
    at, size = tlvs(image())[tag]
    for i in range(size):
        assert code(flipped(image(), at + 4 + i, i % 8)) == expected


def test_signature_by_another_key_is_refused():
    assert code(image(key="test-rsa2048-foreign")) == E_KEY


def test_board_without_keys_accepts_nothing():
    assert code(image(), trust([])) == E_KEY


def test_signature_by_another_key_under_a_known_name_is_refused():
    data, foreign = image(), image(key="test-rsa2048-foreign")
    at, size = tlvs(data)[RSA2048]
    assert code(changed(data, at + 4, foreign[at + 4:at + 4 + size])) == E_SIGNATURE


def test_signature_of_another_size_than_the_key_is_refused():
    at, size = tlvs(image())[KEYHASH]
    data = image(key="test-rsa3072")
    other, _ = tlvs(data)[KEYHASH]
    assert code(changed(data, other + 4, image()[at + 4:at + 4 + size])) == E_SIGNATURE


def test_known_key_that_is_unusable_is_refused():
    broken = otacore.public_der() + b"\x00"
    at, size = tlvs(image())[KEYHASH]
    data = changed(image(), at + 4, otacore.sha256(broken))
    assert code(data, trust([broken])) == E_KEY_FORMAT


def test_image_of_another_vendor_is_refused():
    assert code(image(vendor="other.test")) == E_PRODUCT


def test_image_of_another_class_is_refused():
    assert code(image(cls="product-key/other")) == E_PRODUCT


def test_counter_below_the_floor_is_refused():
    assert code(image(counter=7), trust(min_counter=7)) == 0
    assert code(image(counter=7), trust(min_counter=8)) == E_COUNTER
    assert code(image(counter=0xFFFFFFFF), trust(min_counter=0xFFFFFFFF)) == 0


def test_failures_are_told_in_order():
    """Hash before product before counter before key before signature."""
    who = trust(min_counter=8)
    data = image(vendor="other.test", key="test-rsa2048-foreign")
    assert code(flipped(data, 40), who) == E_HASH
    assert code(data, who) == E_PRODUCT
    assert code(image(key="test-rsa2048-foreign"), who) == E_COUNTER
    assert code(image(key="test-rsa2048-foreign"), trust()) == E_KEY


def test_random_damage_never_passes():
    data = image()
    r = random.Random(1)
    for _ in range(3000):
        broken = bytearray(data)
        for _ in range(r.randrange(1, 4)):
            broken[r.randrange(len(broken))] = r.randrange(256)
        if broken != data:
            assert code(bytes(broken)) != 0
