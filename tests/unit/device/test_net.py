"""Sockets: every wait and every length has a limit."""

# SPDX-License-Identifier: MIT
import sys

from ota.transport import dtls, net
from ota.transport.tls import SslModule

from fakes import clock, code_of
from wires import Wire, no_feed, pair

E_TLS, EHOSTUNREACH, ETIMEDOUT, ECONNRESET = 1044, 113, 110, 104
READ_MAX, LINE_MAX, HEAD_MAX = 2064, 1024, 8192


def over(rx=b"", is_open=False):
    return net.Socket(Wire(rx, is_open), 1000, no_feed)


def at_once(action):
    """Runs it while the clock stands still."""
    clock.look_ms = 0
    try:
        return action()
    finally:
        clock.look_ms = 10


def real():
    """One end wrapped with a time-out of 50 ms, and the other."""
    one, other = pair()
    return net.Socket(one, 50, no_feed), other


def test_readinto_fills_its_buffer_over_a_real_connection():
    sock, other = real()
    buf = bytearray(8)
    other.write(b"abc")
    other.write(b"defghijk")
    assert sock.readinto(buf) == 8 and buf == b"abcdefgh"
    other.close()
    assert sock.readinto(buf) == 3 and buf[:3] == b"ijk"
    assert sock.readinto(buf) == 0
    sock.close()


def test_silent_peer_ends_a_read_in_time():
    sock, other = real()
    assert code_of(sock.readinto, bytearray(1)) == ETIMEDOUT
    other.write(b"ab")
    assert code_of(sock.read, 3) == ETIMEDOUT
    assert code_of(sock.readline) == ETIMEDOUT
    sock.close()
    other.close()


def test_answer_has_longer_to_begin_than_to_go_on():
    wire = Wire(b"ab")
    sock = net.Socket(wire, 1000, no_feed)
    assert silence(sock) == 1000
    sock.write(b"question")
    assert silence(sock) == 10000
    wire.rx = b"a"
    assert sock.read(1) == b"a" and silence(sock) == 1000
    sock.write(b"question")
    wire.rx = b"a"
    sock.setblocking(False)
    assert sock.read(1) == b"a"
    sock.setblocking(True)
    assert silence(sock) == 1000


def silence(sock):
    """For how long it waits for a byte."""
    sock.raw.rx = b""
    start = clock.now
    assert code_of(sock.readinto, bytearray(1)) == ETIMEDOUT
    return (clock.now - start) // 100 * 100


def test_read_without_blocking_gives_a_byte_none_or_the_end():
    sock, other = real()
    sock.setblocking(False)
    assert sock.read(1) is None
    other.write(b"xy")
    assert sock.read(1) == b"x"
    sock.setblocking(True)
    assert sock.read(1) == b"y"
    sock.setblocking(False)
    other.close()
    assert sock.read(1) == b""
    sock.close()


def test_long_message_is_cut_and_the_rest_dropped():
    sock, other = real()
    other.write(b"m" * 4000 + b"next")
    assert sock.read(4000) == b"m" * READ_MAX
    assert sock.read(4) == b"next"
    for n in (READ_MAX - 1, READ_MAX, READ_MAX + 1, READ_MAX + 128, READ_MAX + 129):
        other.write(b"m" * n + b"next")
        assert len(sock.read(n)) == min(n, READ_MAX)
        assert sock.read(4) == b"next"
    sock.close()
    other.close()


def test_message_that_ends_early_is_a_lost_connection():
    assert code_of(over(b"abc").read, 4) == ECONNRESET
    assert code_of(over(b"x" * 3000).read, 4000) == ECONNRESET


def test_negative_length_is_a_lost_connection():
    assert code_of(over(b"abc").read, -5) == ECONNRESET
    assert over(b"abc").read(0) == b""


def test_lines_are_read_one_by_one():
    sock = over(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody")
    assert [sock.readline() for _ in range(3)] == [b"HTTP/1.1 200 OK\r\n", b"A: b\r\n", b"\r\n"]
    assert sock.read(4) == b"body"


def test_line_that_ends_early_is_a_lost_connection():
    assert code_of(over(b"").readline) == ECONNRESET
    assert code_of(over(b"HTTP/1.1 200").readline) == ECONNRESET


def test_long_line_is_cut_and_the_next_one_whole():
    sock = over(b"x" * 3000 + b"\nnext\n")
    assert at_once(sock.readline) == b"x" * LINE_MAX
    assert sock.readline() == b"next\n"


def test_headers_without_end_are_a_lost_connection():
    def all_lines(sock):
        while sock.readline():
            pass

    for rx in (b"a: b\n" * HEAD_MAX, b"x" * (HEAD_MAX + 2)):
        sock = over(rx)
        assert at_once(lambda: code_of(all_lines, sock)) == ECONNRESET
        assert len(sock.raw.rx) == len(rx) - HEAD_MAX - 1


def test_operation_ends_after_twenty_seconds_though_bytes_keep_coming():
    sock = over()
    sock.raw.endless = 0x80
    start = clock.now
    assert code_of(sock.read, 1 << 28) == ETIMEDOUT
    assert 20000 <= clock.now - start < 25000
    assert code_of(sock.readline) == ETIMEDOUT
    sock.restart()
    assert sock.read(2) == b"\x80\x80"


class Drip(Wire):
    """A peer that sends a byte every two seconds, and takes one."""

    def __init__(self):
        super().__init__()
        self._next = 0

    def _due(self):
        if clock.now < self._next:
            return False
        self._next = clock.now + 2000
        return True

    def readinto(self, buf):
        return 1 if self._due() else None

    def write(self, data):
        return 1 if self._due() else None


def test_peer_that_sends_or_takes_a_byte_now_and_then_holds_the_board_for_twenty_seconds():
    for action in (lambda s: s.readinto(bytearray(2048)), lambda s: s.read(4000), lambda s: s.readline(), lambda s: s.write(bytes(2048))):
        fed = []
        sock = net.Socket(Drip(), 3000, lambda: fed.append(clock.now))
        start = clock.now
        assert code_of(action, sock) == ETIMEDOUT
        assert 20000 <= clock.now - start <= 23000 and fed[-1] - start > 18000


def test_body_may_take_longer_than_an_operation():
    sock = over(b"x" * 100)
    clock.now += 60000
    assert sock.readinto(bytearray(100)) == 100


def test_write_goes_on_until_all_is_taken():
    sock = over(is_open=True)
    sock.raw.takes = 3
    sock.write(b"0123456789")
    sock.write(bytearray(b"abcdef"), 4)
    sock.write("text")
    sock.write(b"")
    assert sock.raw.tx == b"0123456789abcdtext"


def test_write_to_a_peer_that_takes_nothing_ends_in_time():
    sock = over(is_open=True)
    sock.raw.takes = None
    start = clock.now
    assert code_of(sock.write, b"x") == ETIMEDOUT
    assert clock.now - start < 2000


def test_socket_that_would_block_for_ever_ends_in_time():
    sock = over(is_open=True)
    sock.raw.settimeout = lambda s: None  # TLS says "would block" also where it was told to wait
    sock.raw.setblocking(False)
    assert code_of(sock.readinto, bytearray(1)) == ETIMEDOUT


class System:
    """Stands for `socket`."""

    SOCK_STREAM, AF_INET = 1, 2

    def getaddrinfo(self, *args):
        if args[0] == "known":
            return [args]
        if args[0] == "both":
            return [(10, "::1"), (2, "127.0.0.1"), (10, "::2")]
        raise OSError("[addrinfo error -2]")

    def socket(self, *args):
        return Wire()


def module():
    made = net._SocketModule(1000, no_feed)
    made._socket = System()
    return made


def test_name_that_is_not_found_has_an_errno():
    assert code_of(module().getaddrinfo, "unknown", 80) == EHOSTUNREACH
    assert module().getaddrinfo("known", 80, 0, 1) == [("known", 80, 0, 1)]


def test_socket_that_there_is_no_memory_to_wrap_is_closed():
    made, wire, kept = module(), Wire(), net.Socket
    made._socket.socket = lambda *args: wire

    def short(*args):
        raise MemoryError

    net.Socket = short
    try:
        made.socket()
        assert False
    except MemoryError:
        assert wire.closed
    finally:
        net.Socket = kept


def test_of_a_name_with_addresses_of_both_kinds_those_that_umqtt_can_use_count():
    assert module().getaddrinfo("both", 80) == [(2, "127.0.0.1")]


def test_watchdog_is_patient_with_what_blocks_and_with_nothing_else():
    fed = []

    def feed(blocking=False):
        fed.append(blocking)

    made = net._SocketModule(1000, feed)
    made._socket = System()
    for name in ("known", "unknown"):
        code_of(made.getaddrinfo, name, 80)
    assert fed == [True, False] * 2
    fed[:] = []
    sock = made.socket()
    sock.raw.settimeout = lambda s: None
    for outcome in (None, OSError(ETIMEDOUT)):
        sock.raw.connect = lambda address: connect(outcome, fed)
        code_of(sock.connect, ("h", 1))
    assert fed == [True, "connect", False] * 2


def connect(outcome, fed):
    fed.append("connect")
    if outcome:
        raise outcome


def test_sockets_of_the_module_are_bounded():
    sock = module().socket()
    assert type(sock) is net.Socket


class Tls:
    """Stands for `tls`: a context whose handshake ends as told."""

    PROTOCOL_TLS_CLIENT, CERT_REQUIRED = 1, 2

    def __init__(self, handshake):
        self.handshake = handshake
        self.contexts = 0
        self.verify_mode = 0

    def SSLContext(self, protocol):
        self.contexts += 1
        return self

    def load_verify_locations(self, ca):
        self.ca = ca

    def wrap_socket(self, raw, server_hostname, do_handshake_on_connect):
        assert self.verify_mode == self.CERT_REQUIRED and self.ca == b"ca" and not do_handshake_on_connect
        self.name = server_hostname
        self.wire = Handshaking(self.handshake)
        return self.wire


class Handshaking(Wire):
    """Makes its handshake with the first write; the connection then tells what went wrong in it."""

    def __init__(self, fault):
        super().__init__(b"secret", False)
        self.fault = fault

    def write(self, data):
        if self.fault:
            raise self.fault
        return super().write(data)


def wrapped(handshake=None):
    tls = sys.modules["tls"] = Tls(handshake)
    ssl = SslModule(b"ca", 1000, no_feed, net._SocketModule(1000, no_feed))
    plain = over()
    sock = ssl.wrap_socket(plain, server_hostname="host")
    del sys.modules["tls"]
    return sock, plain, tls, ssl


def refusal(handshake):
    return code_of(wrapped(handshake)[0].write, b"hello")


def test_tls_socket_verifies_the_servers_name_and_certificate():
    sock, plain, tls, ssl = wrapped()
    sock.write(b"hello")
    assert sock.raw.tx == b"hello"
    assert tls.name == "host" and sock.read(6) == b"secret"
    sock.close()
    assert (sock.raw.closed, plain.raw.closed) == (1, 0), "TLS itself closes what it stands on"


def test_error_that_there_was_no_memory_to_describe_is_passed_on():
    nameless = OSError()
    assert dtls.fault(nameless) is nameless


def test_one_tls_context_serves_all_connections():
    sock, plain, tls, ssl = wrapped()
    ssl.wrap_socket(plain, server_hostname="other")
    assert tls.contexts == 1


def test_certificate_that_does_not_verify_is_a_refusal():
    assert refusal(ValueError("invalid cert")) == E_TLS
    assert refusal(OSError(-9984, "MBEDTLS_ERR_X509_CERT_VERIFY_FAILED")) == E_TLS


def test_ca_that_cannot_be_read_is_a_refusal():
    tls = sys.modules["tls"] = Tls(None)

    def unreadable(ca):
        raise ValueError("invalid cert")

    tls.load_verify_locations = unreadable
    assert code_of(SslModule(b"ca", 1000, no_feed, net._SocketModule(1000, no_feed)).wrap_socket, over()) == E_TLS
    del sys.modules["tls"]


def test_dtls_without_a_ca_is_refused():
    assert code_of(dtls.require, None) == 1045


def test_connection_lost_in_the_handshake_is_no_refusal():
    for errno in (ECONNRESET, -0x7280, -0x6800):  # mbedTLS: the peer closed; time is up
        assert refusal(OSError(errno, "")) == ECONNRESET


def test_fault_behind_the_handshake_is_a_lost_connection():
    """What TLS says of a record that does not decrypt is below zero: the transfer is tried again."""
    sock = wrapped()[0]
    sock.write(b"hello")
    sock.raw.fault = OSError(-29056, "MBEDTLS_ERR_SSL_INVALID_MAC")
    assert code_of(sock.write, b"more") == -29056


def test_handshake_that_drips_holds_the_board_for_twenty_seconds():
    """TLS itself on MicroPython; CPython has no module of that name, and its sockets are others."""
    if sys.implementation.name == "cpython":
        return
    one, other = pair()
    record = bytearray(b"\x16\x03\x03\x40\x00" + bytes(0x4000))
    state = [clock.now, 0]

    def feed(blocking=False):
        if clock.now >= state[0]:
            other.write(record[state[1] : state[1] + 1])
            state[:] = clock.now + 2000, state[1] + 1

    ssl = SslModule(None, 3000, feed, None)
    ssl._verifying = unverifying
    start = clock.now
    sock = ssl.wrap_socket(net.Socket(one, 3000, feed), server_hostname="host")
    assert code_of(sock.write, b"hello") == ETIMEDOUT
    assert 20000 <= clock.now - start <= 23000 and state[1] > 5
    sock.close()
    other.close()


def unverifying():
    import tls

    return tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)


class Library:
    socket = usocket = None


def test_libraries_get_the_bounded_sockets_also_when_imported_before():
    kept = {name: sys.modules.get(name) for name in ("usocket", "ussl", "umqtt.simple", "urequests")}
    umqtt = sys.modules["umqtt.simple"] = Library()
    urequests = sys.modules["urequests"] = Library()
    sys.modules.pop("ussl", None)
    try:
        net.install(None, 1000, no_feed)
        assert "ussl" not in sys.modules
        net.install(b"ca", 1000, no_feed)
        assert type(sys.modules["usocket"]) is net._SocketModule and type(sys.modules["ussl"]) is SslModule
        assert umqtt.socket is urequests.usocket is sys.modules["usocket"]
    finally:
        for name in kept:
            sys.modules.pop(name, None)
            if kept[name]:
                sys.modules[name] = kept[name]


def test_watchdog_is_fed_before_each_wait():
    fed = []
    sock = net.Socket(Wire(b"a line\nand more"), 1000, lambda: fed.append(1))
    sock.readline()
    assert len(fed) == 7  # of one byte each
    sock.read(8)
    sock.write(b"x")
    assert len(fed) == 9


def test_port_beyond_all_numbers_is_a_host_that_cannot_be_reached():
    def overflow(host, port):
        raise OverflowError

    module = net._SocketModule(1000, no_feed)
    module._socket = type("", (), {"getaddrinfo": staticmethod(overflow)})
    try:
        module.getaddrinfo("h", 1 << 70)
    except OSError as e:
        assert e.errno == 113
    else:
        raise AssertionError


def test_port_of_a_frozen_configuration_is_a_number_to_the_system():
    if sys.implementation.name == "micropython":
        from ota_config import SERVER
    else:
        SERVER = "127.0.0.1", 18830
    assert net._SocketModule(1000, no_feed).getaddrinfo(*SERVER)


def requested(function):
    """What net.request gives of a function, as the library's, of the module of sockets."""
    kept = sys.modules.get("usocket")
    module = sys.modules["usocket"] = net._SocketModule(1000, no_feed)
    wires = []

    def make():
        wires.append(Wire(b"HTTP/1.1 200 OK: no header\r\nLocation: /X\r\nETag: \"A\"\r\n"))
        return wires[-1]

    module._socket = type("", (), {"socket": staticmethod(make)})
    try:
        return net.request(lambda parse_headers: function(module, parse_headers)), wires
    except (OSError, ValueError) as e:
        return e, wires
    finally:
        assert module.made is None and type(module.socket()) is net.Socket, "the application's are free"
        del sys.modules["usocket"]
        if kept:
            sys.modules["usocket"] = kept


def test_socket_that_the_library_forgets_is_closed_once():
    def refused(module, parse_headers):
        module.socket()
        raise IndexError

    def lost(module, parse_headers):
        module.socket().close()
        raise OSError(ECONNRESET)

    for function, kind in ((refused, ValueError), (lost, OSError)):
        found, wires = requested(function)
        assert isinstance(found, kind) and wires[0].closed == 1


def test_socket_of_a_response_stays_open():
    found, wires = requested(lambda module, parse_headers: module.socket())
    assert type(found) is net.Socket and not wires[0].closed


def test_socket_under_tls_that_the_library_forgets_is_closed_through_it():
    tls = sys.modules["tls"] = Tls(None)

    def refused(module, parse_headers):
        SslModule(b"ca", 1000, no_feed, module).wrap_socket(module.socket(), server_hostname="host")
        raise ValueError

    found, wires = requested(refused)
    del sys.modules["tls"]
    assert tls.wire.closed == 1 and not wires[0].closed


def test_request_has_one_socket():
    """urequests begins anew at a status of 300, for ever."""

    def again(module, parse_headers):
        module.socket()
        return module.socket()

    found, wires = requested(again)
    assert isinstance(found, ValueError) and wires[0].closed == 1


def test_headers_of_a_request_are_in_lower_case_and_its_library_sees_no_redirect():
    def lines(module, parse_headers):
        sock = module.socket()
        headers = {}
        lines = [sock.readline() for _ in range(3)]
        for line in lines:
            parse_headers(line, headers)
        assert lines[1] == b"location: /X\r\n"
        return headers

    assert requested(lines)[0] == {b"location": b"/X", b"etag": b'"A"'}
