"""CoAP messages through the binding, and what a URL says."""

# SPDX-License-Identifier: MIT
from ota import native
from ota.download import coap_url

from fakes import code_of

TOKEN = b"12345678"
E_URL = 1026


def refused(action, *args):
    try:
        action(*args)
        return False
    except ValueError:
        return True


def test_example_of_rfc_7252_is_written():
    assert native.coap_write(0, 1, 0x7D34, b"", ((11, b"temperature"),), b"") == b"\x40\x01\x7d\x34\xbbtemperature"


def test_value_is_a_number_bytes_or_a_tuple_of_options():
    options = (6, 0), (11, (b"topic", b"ota")), (12, 50), (23, 0x3E), (2088, b"t" * 20)
    message = native.coap_write(0, 2, 0xFFFF, TOKEN, options, b"{}")
    assert message == b"\x48\x02\xff\xff12345678" + b"\x60" + b"\x55topic\x03ota" + b"\x11\x32" + b"\xb1\x3e" + b"\xed\x07\x04\x07" + b"t" * 20 + b"\xff{}"


def test_what_is_written_is_read():
    options = (4, b"\1\2"), (6, 70000), (23, 0x1E), (28, 614400)
    message = native.coap_write(2, 69, 0x1234, TOKEN, options, b"data")
    buf = bytearray(message + b"more")
    found = native.coap_read(buf, len(message))
    assert (found.kind, found.code, found.mid, found.token) == (2, 69, 0x1234, TOKEN)
    assert (found.observe, found.block2, found.size2, found.etag) == (70000, 0x1E, 614400, b"\1\2")
    assert buf[found.payload : found.end] == b"data" and found.end == len(message)
    assert found[:4] == (2, 69, 0x1234, TOKEN)


def test_bare_message_has_none_of_the_options():
    found = native.coap_read(b"\x60\x00\x00\x01", 4)
    assert tuple(found) == (2, 0, 1, b"", -1, -1, -1, b"", 4, 4)


def test_datagram_that_is_none_and_options_that_cannot_be_read():
    for n in range(4):
        assert native.coap_read(b"\x40\x45\0\1", n) is None
    assert native.coap_read(b"\x80\x45\0\1", 4) is None
    assert native.coap_read(b"\x40\x45\0\1\x4e\xff\xff", 7).payload == -1
    assert native.coap_read(b"\x40\x45\0\1\xff", 5).payload == -1


def test_misuse_is_a_value_error():
    assert refused(native.coap_read, b"\x40\x45\0\1", 5)
    assert refused(native.coap_read, b"\x40\x45\0\1", -1)
    assert refused(native.coap_write, 0, 1, 0, TOKEN, ((11, b"b"), (4, b"a")), b"")


def test_url_becomes_host_port_and_options():
    host = ((3, b"host"),)
    assert coap_url.read("coap://host/a") == (False, ("host", 5683), host + ((11, (b"a",)), (15, ())), False)
    assert coap_url.read("coaps://host:1/a%20b/?x=1&y=%26") == (True, ("host", 1), host + ((11, (b"a b", b"")), (15, (b"x=1", b"y=&"))), False)
    assert coap_url.read("coaps://10.0.0.1/a") == (True, ("10.0.0.1", 5684), ((11, (b"a",)), (15, ())), False)
    linkkit = ((11, (b"topic", b"x")), (12, 50), (15, ()), (17, 42))
    assert coap_url.read("coap://10.0.0.1/topic/x") == (False, ("10.0.0.1", 5683), linkkit, True)


def test_any_other_url_is_refused():
    for url in ("http://host/a", "coap:/host/a", "coap://host", "coap:///a", "coap://host/", "coap://host:/a", "coap://host:0/a", "coap://host:65536/a",
                "coap://host:x/a", "coap://me@host/a", "coap://host/a#b", "coap://host/%4", "coap://host/%zz"):  # fmt: skip
        assert code_of(coap_url.read, url) == E_URL, url
