"""Downloads: every answer that is not exactly the bytes asked for is refused."""

# SPDX-License-Identifier: MIT
import sys

from ota.download.http import Source
from ota.transport import net

from fakes import code_of
from wires import no_feed

E_URL, E_STATUS, E_RANGE, E_LENGTH, ECONNRESET = 1026, 1040, 1041, 1042, 104
DATA = bytes(range(256)) * 4
SIZE = len(DATA)


class Raw:
    """The socket below a response."""

    def __init__(self, body):
        self.body = body
        self.closed = False

    def readinto(self, buf):
        n = min(len(buf), len(self.body))
        buf[:n] = self.body[:n]
        self.body = self.body[n:]
        return n


class Response:
    def __init__(self, status, headers, raw):
        self.status_code = status
        self.headers = headers
        self.raw = raw

    def close(self):
        self.raw.closed = True
        raise OSError(ECONNRESET, "")  # a connection that is gone cannot be closed well


class Requests:
    """Stands for urequests over net.py's sockets: gives the answers it was told, and keeps what was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.raws = []

    def get(self, url, headers, parse_headers):
        self.asked.append((url, dict(headers)))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, lines, body = answer
        found = {}
        for line in lines:
            name = line[: line.find(b":")]
            parse_headers(name.lower() + line[len(name) :] + b"\r\n", found)
        raw = Raw(body)
        self.raws.append(raw)
        return Response(status, found, raw)


def answer(status, *lines, body=DATA):
    return status, lines, body


def serve(*answers, url="https://host/x"):
    sys.modules["usocket"] = net._SocketModule(1000, no_feed)
    requests = sys.modules["urequests"] = Requests(*answers)
    return requests, Source(url, SIZE)


def led(url, *locations):
    """Where a chain of redirects leads: the URLs asked for, and the code of opening."""
    requests, source = serve(*[answer(302, b"Content-Length: 0", b"Location: " + to) for to in locations], answer(200), url=url)
    code = code_of(lambda: source.open(0))
    return [asked for asked, _ in requests.asked], code


def opened(offset, *answers):
    """The code of opening at an offset, or what open returned."""
    requests, source = serve(*answers)
    results = []
    code = code_of(lambda: results.append(source.open(offset)))
    source.close()
    return code or results[0]


def after_first(etag, second):
    """Opens from 0, then from 512, with the entity tag of the first answer."""
    requests, source = serve(answer(200, b"ETag: " + etag), second)
    assert source.open(0) is True
    source.close()
    result = []
    code = code_of(lambda: result.append(source.open(512)))
    return requests, source, code or result[0]


def rest(source, n=SIZE):
    """The next n bytes, behind those that are passed over."""
    buf = bytearray(SIZE)
    got = 0
    while not got:
        got = source.readinto(buf, n)
    return bytes(buf[:got])


def test_whole_artifact_is_read_and_the_end_noticed():
    requests, source = serve(answer(200, b"Content-Length: 1024"))
    assert source.open(0) is True
    assert rest(source) == DATA and source.ended()
    assert requests.asked == [("https://host/x", {"Accept-Encoding": "identity", "Host": "host"})]


def test_bytes_behind_the_announced_ones_are_noticed():
    source = serve(answer(200, body=DATA + b"x"))[1]
    source.open(0)
    assert rest(source) == DATA and not source.ended()


def test_resume_asks_for_the_rest_of_the_same_artifact():
    requests, source, result = after_first(b'"v1"', answer(206, b"Content-Range: bytes 512-1023/1024", b'etag:"v1"', body=DATA[512:]))
    assert result is True and rest(source, SIZE - 512) == DATA[512:]
    headers = requests.asked[1][1]
    assert headers["Range"] == "bytes=512-" and headers["If-Range"] == b'"v1"'


def test_resume_after_a_restart_knows_no_entity_tag():
    requests, source = serve(answer(206, b"content-range:bytes 512-1023/1024", body=DATA[512:]))
    assert source.open(512) is True
    assert "If-Range" not in requests.asked[0][1]


def test_weak_entity_tag_is_not_sent_but_compared():
    requests, source, result = after_first(b'W/"v1"', answer(200, b'ETag: W/"v1"'))
    assert result is True and rest(source, SIZE - 512) == DATA[512:]
    assert "If-Range" not in requests.asked[1][1]


def test_range_ignored_for_the_same_artifact_is_read_past():
    source, result = after_first(b'"v1"', answer(200, b'ETag: "v1"', b"Content-Length: 1024"))[1:]
    assert result is True and rest(source, SIZE - 512) == DATA[512:]


def test_range_ignored_without_entity_tags_is_read_past():
    requests, source = serve(answer(200))
    assert source.open(700) is True and rest(source, SIZE - 700) == DATA[700:]


def test_range_ignored_is_read_past_a_buffer_at_a_time():
    requests, source = serve(answer(200))
    assert source.open(700) is True
    buf = bytearray(300)
    assert [source.readinto(buf, n) for n in (300, 300, 300, 300, 24)] == [0, 0, 0, 300, 24]
    assert bytes(buf[:24]) == DATA[1000:]


def test_range_ignored_and_the_connection_lost_on_the_way():
    requests, source = serve(answer(200, body=DATA[:600]))
    assert source.open(700) is True
    assert code_of(lambda: rest(source, SIZE - 700)) == ECONNRESET


def test_changed_entity_tag_starts_over():
    assert after_first(b'"v1"', answer(200, b'ETag: "v2"'))[2] is False
    assert after_first(b'"v1"', answer(200, b'ETag: "v2"', b"Content-Length: 5"))[2] is False
    assert after_first(b'"v1"', answer(200))[2] is False
    assert after_first(b'"v1"', answer(206, b"Content-Range: bytes 512-1023/1024", b'ETag: "v2"'))[2] is False


def test_range_beyond_the_end_starts_over():
    assert opened(512, answer(416)) is False
    assert opened(0, answer(416)) == E_STATUS


def test_other_ranges_than_the_one_asked_for_are_refused():
    ranges = (b"bytes 0-1023/1024", b"bytes 512-1022/1024", b"bytes 512-1023/1025", b"bytes 512-1023/*", b"512-1023/1024", b"", b"\xff\xfe")
    for text in ranges:
        assert opened(512, answer(206, b"Content-Range: " + text)) == E_RANGE, text
    assert opened(512, answer(206)) == E_RANGE


def test_part_that_was_not_asked_for_is_refused():
    assert opened(0, answer(206, b"Content-Range: bytes 0-1023/1024")) == E_STATUS


def test_other_statuses_are_refused():
    for status in (100, 201, 204, 300, 304, 400, 401, 403, 404, 500, 503, 0, -1):
        assert opened(0, answer(status)) == E_STATUS, status
        assert opened(512, answer(status)) == E_STATUS, status


def test_other_lengths_than_the_announced_one_are_refused():
    for text in (b"1023", b"1025", b"0", b"-1", b"01024", b"1e3", b"", b"x", b"\xff"):
        assert opened(0, answer(200, b"Content-Length: " + text)) == E_LENGTH, text


def test_answer_that_is_no_http_is_refused():
    for e in (ValueError("Unsupported"), IndexError(), NotImplementedError(), UnicodeError()):
        assert opened(0, e) == E_STATUS


def test_trouble_of_the_socket_passes_as_it_is():
    for errno in (ECONNRESET, 110, 1044):
        assert opened(0, OSError(errno, "")) == errno


def test_memory_error_passes():
    source = serve(MemoryError())[1]
    try:
        source.open(0)
        assert False
    except MemoryError:
        pass


def test_chunked_body_is_refused():
    assert opened(0, answer(200, b"Transfer-Encoding: chunked")) == E_STATUS


def test_redirects_are_followed_wherever_they_lead():
    for to, url in (
        (b"https://other/y", "https://other/y"), (b"//other:8443/y", "https://other:8443/y"), (b"/y?u=http://z", "https://host/y?u=http://z"),
        (b"y", "https://host/a/y"), (b"?t=1", "https://host/a/x?t=1"), (b"y?u=http://z/", "https://host/a/y?u=http://z/"),
        (b"HTTPS://other/y", "https://other/y"),
    ):  # fmt: skip
        assert led("https://host/a/x?q=/1", to) == (["https://host/a/x?q=/1", url], 0)
    assert led("http://host", b"y", b"/z") == (["http://host", "http://host/y", "http://host/z"], 0)
    assert led("http://host", b"/y")[0][1] == led("http://host?x", b"y")[0][1] == "http://host/y"
    assert led("http://host/x", b"https://host/x")[1] == 0


def test_redirect_to_plain_http_is_refused_before_it_is_asked():
    for chain in ((b"http://host/x",), (b"https://other/y", b"http://other/y"), (b"ftp://host/x",)):
        urls, code = led("https://host/x", *chain)
        assert code == E_URL and all(url.startswith("https:") for url in urls)
    assert led("http://host/x", b"https://host/x", b"http://host/x")[1] == E_URL


def test_four_redirects_are_followed_and_no_more():
    assert led("http://host/x", *[b"/%d" % i for i in range(4)])[1] == 0
    urls, code = led("http://host/x", *[b"/%d" % i for i in range(5)])
    assert (len(urls), code) == (5, E_STATUS)


def test_redirect_without_a_place_or_with_an_unreadable_one_is_refused():
    assert opened(0, answer(302)) == E_STATUS
    assert led("http://host/x", b"")[1] == E_STATUS
    assert led("http://host/x", b"/\xff")[1] == E_STATUS


def test_every_request_names_its_own_host():
    requests, source = serve(answer(301, b"location: https://other:8443/y"), answer(200))
    source.open(0)
    assert [headers["Host"] for _, headers in requests.asked] == ["host", "other:8443"]


def test_connection_of_a_redirect_is_closed():
    requests, source = serve(answer(307, b"Location: /y"), answer(200))
    assert source.open(0) is True
    assert [raw.closed for raw in requests.raws] == [True, False]


def test_redirect_to_https_is_refused_where_there_is_no_tls():
    source = serve(ImportError("no module named 'tls'"), url="http://host/x")[1]
    assert code_of(lambda: source.open(0)) == E_STATUS


def test_header_lines_without_a_colon_or_value_do_no_harm():
    assert opened(0, answer(200, b"", b"nonsense", b":", b"Content-Length", b"\xff: \xff")) is True


def test_close_closes_once_and_swallows_a_lost_connection():
    requests, source = serve(answer(200))
    source.close()
    source.open(0)
    source.close()
    source.close()
    assert requests.raws[0].closed
