"""The file server, asked over real HTTP and HTTPS."""
# SPDX-License-Identifier: MIT

import contextlib
import hashlib
import http.client
import socket
import ssl

import pytest

from mpota import files, pki, ports
from mpota.errors import ToolError
from mpota.files import FileServer

from .helpers import tool, until

DATA = bytes(range(256)) * 1000
HASH = hashlib.sha256(DATA).hexdigest()
PATH = f"/{HASH}.bin"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return pki.prepare(tmp_path_factory.mktemp("pki"), "127.0.0.1")


@pytest.fixture(scope="module", params=["http", "https"])
def connect(request, tmp_path_factory, certificates):
    """Opens connections to a server that has one file."""
    folder = tmp_path_factory.mktemp("served") / "artifacts"
    folder.mkdir()
    (folder / PATH[1:]).write_bytes(DATA)
    (folder.parent / "secret").write_text("secret")
    (folder / "other.txt").write_text("other")
    tls = certificates if request.param == "https" else None
    server = FileServer(folder, "127.0.0.1", 0, tls)
    server.start()

    def connect():
        if not tls:
            return http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        context = ssl.create_default_context(cafile=tls.ca)
        return http.client.HTTPSConnection("127.0.0.1", server.port, timeout=5, context=context)

    yield connect
    server.stop()


@pytest.fixture
def get(connect):
    """Status, headers and body of a request."""
    connection = connect()

    def get(path=PATH, method="GET", **headers):
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.headers, response.read()

    yield get
    connection.close()


def test_whole_file_has_length_and_tag_and_is_not_chunked(get):
    status, headers, body = get()
    assert (status, body) == (200, DATA)
    assert headers["Content-Length"] == str(len(DATA))
    assert headers["ETag"] == f'"{HASH}"'
    assert headers["Accept-Ranges"] == "bytes"
    assert "Transfer-Encoding" not in headers


@pytest.mark.parametrize(
    ("wanted", "first", "last"), [("1000-", 1000, 255999), ("0-0", 0, 0), ("255999-", 255999, 255999), ("-10", 255990, 255999)]
)
def test_range_is_answered_by_206(get, wanted, first, last):
    status, headers, body = get(Range=f"bytes={wanted}")
    assert (status, body) == (206, DATA[first : last + 1])
    assert headers["Content-Range"] == f"bytes {first}-{last}/{len(DATA)}"
    assert headers["Content-Length"] == str(len(body))


def test_range_beyond_the_end_is_answered_by_416(get):
    status, headers, _ = get(Range=f"bytes={len(DATA)}-")
    assert (status, headers["Content-Range"]) == (416, f"bytes */{len(DATA)}")


def test_if_range_decides_between_rest_and_whole(get):
    assert get(Range="bytes=1000-", If_Range=f'"{HASH}"')[0] == 206
    status, _, body = get(Range="bytes=1000-", If_Range='"another"')
    assert (status, body) == (200, DATA)


def test_head_has_no_body(get):
    status, headers, body = get(method="HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(DATA)), b"")


@pytest.mark.parametrize(
    "path", ["/", "/other.txt", "/../secret", "/%2e%2e/secret", "/..%2fsecret", f"/{'0' * 64}.bin", PATH + "/x", PATH.upper()]
)
def test_nothing_else_is_served(get, path):
    assert get(path)[0] == 404


def test_nothing_can_be_changed(get):
    assert get(method="POST")[0] == 405
    assert get(method="DELETE")[0] == 405


def test_header_fits_old_clients(connect):
    connection = connect()
    connection.connect()
    connection.sock.sendall(
        f"GET {PATH} HTTP/1.1\r\nAccept:*/*\r\nUser-Agent: Mozilla/5.0\r\nCache-Control: no-cache\r\nConnection: close\r\n"
        f"Range: bytes=100-\r\nHost:127.0.0.1:80\r\n\r\n".encode()
    )
    first = connection.sock.recv(512)  # AliOS reads the header in one read
    assert first.startswith(b"HTTP/1.1 206 ")
    assert b"\r\n\r\n" in first
    assert f"\r\nContent-Length: {len(DATA) - 100}\r\n".encode() in first
    connection.close()


def test_certificate_of_another_ca_does_not_pass(certificates, tmp_path):
    server = FileServer(tmp_path, "127.0.0.1", 0, certificates)
    server.start()
    context = ssl.create_default_context(cafile=pki.prepare(tmp_path, "127.0.0.1").ca)
    with pytest.raises(ssl.SSLCertVerificationError):
        http.client.HTTPSConnection("127.0.0.1", server.port, timeout=5, context=context).connect()
    server.stop()


def test_certificate_is_kept_until_another_host_is_asked_for(certificates):
    before = [path.read_bytes() for path in (certificates.ca, certificates.server)]
    folder = certificates.ca.parent
    pki.prepare(folder, "localhost")
    assert [path.read_bytes() for path in (certificates.ca, certificates.server)] == before
    pki.prepare(folder, "ota.example.org")
    assert certificates.ca.read_bytes() == before[0]
    assert certificates.server.read_bytes() != before[1]


def test_openssl_accepts_the_certificate_for_each_of_its_names(tmp_path):
    made = pki.prepare(tmp_path, "192.0.2.7")
    for name in ("127.0.0.1", "10.0.2.2", "192.0.2.7", "localhost"):
        option = "-verify_hostname" if name == "localhost" else "-verify_ip"
        done = tool("openssl", "verify", "-x509_strict", "-CAfile", made.ca, option, name, made.server)
        assert done.returncode == 0, done.stderr
    assert tool("openssl", "verify", "-CAfile", made.ca, "-verify_ip", "192.0.2.8", made.server).returncode != 0
    for name in ("ca-key.pem", "server-key.pem"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_connection_of_a_peer_that_vanished_ends():
    with ports.listen("127.0.0.1", 0) as server, socket.create_connection(server.getsockname()):
        accepted, _ = server.accept()
        with accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 60


@pytest.fixture
def served(tmp_path):
    server = FileServer(tmp_path, "127.0.0.1", 0)
    server.start()
    yield server
    server.stop()


def closed(sock, seconds=5):
    """Whether the server ends the connection within so many seconds."""
    sock.settimeout(seconds)
    try:
        return not sock.recv(1)
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def test_peer_that_asks_for_nothing_is_let_go(served, monkeypatch):
    monkeypatch.setattr(files, "HEAD_S", 0.2)
    with socket.create_connection(("127.0.0.1", served.port)) as silent, socket.create_connection(("127.0.0.1", served.port)) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost:")
        assert closed(silent) and closed(slow)


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_peers_leave_room_for_the_store(secure, certificates, tmp_path, monkeypatch):
    monkeypatch.setattr(ports, "share", lambda: 3)
    server = FileServer(tmp_path, "127.0.0.1", 0, certificates if secure else None)
    server.start()
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        peers = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(5)]
        assert closed(peers[3]) and closed(peers[4])  # of https before a word of TLS
        if secure:
            peers[0] = ssl.create_default_context(cafile=certificates.ca).wrap_socket(peers[0], server_hostname="127.0.0.1")
            stack.enter_context(peers[0])
        peers[0].sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert peers[0].recv(8) == b"HTTP/1.1"
        peers[1].close()
        until(lambda: not closed(stack.enter_context(socket.create_connection(("127.0.0.1", server.port))), 0.5))


def test_taken_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ToolError, match=f"127.0.0.1:{port}: port is taken"):
            FileServer(".", "127.0.0.1", port)
