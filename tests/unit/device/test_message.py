"""Upgrade messages: read strictly by field and type."""

# SPDX-License-Identifier: MIT
from ota import message
from ota.message import numbers
from ota.notice import parse

from fakes import code_of, fields, file, hex_of, image, payload

E_JSON, E_LONG, E_FIELD, E_METHOD = 1020, 1021, 1022, 1023


def code(data, **more):
    return code_of(parse, payload(data, **more))


def with_field(name, value):
    data = fields()
    data[name] = value
    return code(data)


def without(name):
    data = fields()
    del data[name]
    return code(data)


def test_good_message_is_read_field_by_field():
    notice = parse(payload(fields()))
    data = fields()
    assert (notice.url, notice.version, notice.size) == (data["url"], "1.1.0", len(image("new")))
    assert notice.method == "SHA256" and hex_of(notice.digest) == data["sign"]
    assert notice.digestsign == file("new.sha256.sig") and notice.patch is False


def test_message_as_the_cloud_sends_it_is_read():
    text = (
        b'{"code":"1000","data":{"size":584064,"sign":"6080a1c0c3f0a1b8b0d7d1b3cf0a1c22","version":"app-1.1.0",'
        b'"url":"https://iotx-ota.oss-cn-shanghai.aliyuncs.com/ota/x.bin?Expires=1&OSSAccessKeyId=a&Signature=b%3D",'
        b'"signMethod":"Md5","md5":"6080a1c0c3f0a1b8b0d7d1b3cf0a1c22"},"id":1553688236684,"message":"success"}'
    )
    notice = parse(text)
    assert (notice.method, notice.size, notice.version, notice.digestsign) == ("MD5", 584064, "app-1.1.0", None)
    assert hex_of(notice.digest) == "6080a1c0c3f0a1b8b0d7d1b3cf0a1c22"


def test_message_cut_anywhere_is_not_json():
    whole = payload(fields())
    for n in range(len(whole)):
        assert code_of(parse, whole[:n]) == E_JSON, n


def test_message_of_the_limit_is_read_and_of_one_byte_more_is_too_long():
    whole = payload(fields())
    assert code_of(parse, whole + b" " * (2048 - len(whole))) == 0
    assert code_of(parse, whole + b" " * (2049 - len(whole))) == E_LONG


def test_one_nul_at_the_end_is_taken_off_as_alios_peers_send_it():
    assert parse(payload(fields()) + b"\0").version == "1.1.0"
    for tail in (b"\0\0", b"\0x", b"x", b"}", b"{}"):
        assert code_of(parse, payload(fields()) + tail) == E_JSON, tail


def test_bytes_that_are_no_json_are_refused():
    texts = (b"", b"\0", b"nonsense", b"{", b"}", b"]", b'{"a":}', b"\xff\xfe", b'{"data":"\xff"}', b"tru", b'{"a":-}', b'{"a":1.2.3}')
    for text in texts:
        assert code_of(parse, text) in (E_JSON, E_FIELD), text
    assert code_of(parse, b'{[1]:{"a":1}}') == E_JSON
    assert code_of(parse, b'{{}:1}') == E_JSON


def test_brackets_within_text_do_not_count():
    data = fields()
    data["extData"] = 'a "{[\\" b'
    assert code(data) == 0


def test_deep_nesting_is_refused_without_recursion():
    assert code_of(parse, b"[" * 2000) == E_JSON
    assert code_of(parse, b"[" * 900 + b"]" * 900) == E_JSON
    assert code_of(parse, b'{"a":' * 300 + b"1" + b"}" * 300) == E_JSON


def test_json_that_is_no_object_is_refused():
    for text in (b"1", b"null", b'"data"', b"[]", b"true", b"-1.5e300"):
        assert code_of(parse, text) == E_FIELD, text


def test_data_of_a_wrong_type_is_refused():
    for data in (None, 1, "x", [], [1], True):
        assert code(data) == E_FIELD, data


def test_empty_data_announces_nothing():
    assert parse(payload({})) is None


def test_echo_of_our_own_request_announces_nothing():
    assert parse(message.inform("1.0.0").encode()) is None


def test_message_that_tells_of_no_success_is_refused():
    assert code(fields(), message="failed") == E_FIELD
    assert code(fields(), message=1) == E_FIELD
    assert code(fields(), message=None) == E_FIELD


def test_message_without_a_required_field_is_refused():
    for name in ("url", "version", "size", "sign"):
        assert without(name) == E_FIELD, name


def test_every_text_field_of_a_wrong_type_is_refused():
    for name in ("url", "version", "sign", "digestsign", "signMethod"):
        for value in (None, 1, 0, -1, 1.5, True, [], ["x"], {}, {"x": 1}):
            assert with_field(name, value) == E_FIELD, (name, value)


def test_size_of_a_wrong_type_or_below_one_is_refused():
    for value in (None, "100", 1.0, 1e30, True, [], {}, 0, -1, -(10**30)):
        assert with_field("size", value) == E_FIELD, value


def test_huge_size_is_a_number_like_others():
    assert parse(payload(dict(fields(), size=10**300))).size == 10**300


def test_flag_of_a_patch_of_a_wrong_type_is_refused():
    for value in ("1", 2, -1, 1.0, None, [], {}):
        assert with_field("isDiff", value) == E_FIELD, value
    for value, patch in ((0, False), (1, True), (False, False), (True, True)):
        assert parse(payload(dict(fields(), isDiff=value))).patch is patch


def test_text_beyond_its_limit_is_refused():
    assert with_field("url", "https://host/" + "x" * 500) == E_LONG
    assert with_field("version", "1" * 65) == E_LONG
    assert with_field("digestsign", "A" * 513) == E_LONG


def test_text_with_spaces_or_control_or_other_letters_is_refused():
    for value in ("https://host/a b", "https://host/\r\nX: y", "https://host/\x00", "https://host/\u00e9", ""):
        assert with_field("url", value) == E_FIELD, value
    assert with_field("version", "1.1.0\n") == E_FIELD


def test_digest_of_another_length_or_with_other_letters_is_refused():
    sign = fields()["sign"]
    for value in (sign[:-1], sign[:-2], sign + "00", "g" + sign[1:], "6080a1c0c3f0a1b8b0d7d1b3cf0a1c22", ""):
        assert with_field("sign", value) in (E_FIELD, E_LONG), value
    assert with_field("sign", sign.upper()) == 0


def test_methods_are_known_in_any_case_and_others_refused():
    for value in ("SHA256", "sha256", "Sha256"):
        assert with_field("signMethod", value) == 0
    for value in ("SHA1", "none", "SHA-256", "SHA256x", "Md55"):
        assert with_field("signMethod", value) == E_METHOD, value


def test_without_a_method_the_old_md5_field_is_read():
    data = dict(fields(), md5="00112233445566778899aabbccddeeff")
    del data["signMethod"]
    notice = parse(payload(data))
    assert notice.method == "MD5" and len(notice.digest) == 16
    del data["md5"]
    assert code(data) == E_FIELD


def test_digestsign_that_is_no_base64_is_refused():
    for value in ("A", "ABCDE", ""):
        assert with_field("digestsign", value) == E_FIELD, value


def test_versions_compare_as_numbers():
    assert numbers("app-1.10.0") > numbers("app-1.9.0")
    assert numbers("1.0.10") > numbers("1.0.9")
    assert numbers("2") > numbers("1.9.9+9")
    assert numbers("1.0.0+1") > numbers("1.0.0")
    assert numbers("v1.0.0") == numbers("1.0") == [1]
    assert numbers("app-1.0.0-20190327.1430") == [1, 0, 0, 20190327, 1430]
    assert numbers("no digits") == numbers("") == numbers("0.0") == []


def test_reports_are_written_as_the_cloud_reads_them():
    import json

    assert json.loads(message.progress(45)) == {"id": 0, "params": {"step": "45", "desc": ""}}
    assert json.loads(message.progress(-1, "x" * 100))["params"] == {"step": "-1", "desc": "x" * 64}
    assert json.loads(message.inform("1.2.3")) == {"id": 0, "params": {"version": "1.2.3"}}
