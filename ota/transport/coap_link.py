"""CoAP's message layer (RFC 7252 section 4) over one UDP socket or DTLS 1.2 session.

One request is outstanding at a time (NSTART is 1), one datagram is held. Requests are confirmable and repeated with
growing pauses; answers come in the acknowledgement or separately; what is met twice is acknowledged twice and
delivered once; what is not for us is reset.
"""

# SPDX-License-Identifier: MIT
import os
import random
import time

from micropython import const

from ota import TROUBLE, native

NOTHING = const(0)
RESPONSE = const(1)
NOTIFICATION = const(2)
CUT = const(3)  # the response did not fit into a datagram of ours
CUT_NOTIFICATION = const(4)

_CON = const(0)
_NON = const(1)
_ACK = const(2)
_RST = const(3)
_IDLE = const(0)
_UNSENT = const(1)
_SENT = const(2)
_ACKED = const(3)
_DATAGRAM = const(1280)  # bytes; the largest of Linkkit's, and a block of 1024 with its options
_TOKEN = const(8)
_MAX_RETRANSMIT = const(4)
_HANDSHAKE_MS = const(30000)
_EXCHANGE_LIFETIME_MS = const(247000)
_SEEN = const(8)
_EMPTY = const(0)
_HEAD = const(4)  # bytes of an empty message
_EHOSTUNREACH = const(113)
_ETIMEDOUT = const(110)
_ECONNRESET = const(104)
_E_LONG = const(1021)


class Link:
    """server: (host, port). secure: DTLS. ca: the CA certificate for it. buf: where the last datagram stands, of more than
    1280 bytes; others may use it between two calls of poll(). feed(): the board's."""

    ack_timeout_ms = 2000  # the RFC's ACK_TIMEOUT
    separate_ms = 30000  # how long an answer may come after its acknowledgement
    sent = received = 0  # datagrams of all links

    def __init__(self, server, secure, ca, buf, feed):
        self._server = server
        self._feed = feed
        self._dtls = None
        if secure:
            from ota.transport import dtls

            dtls.require(ca)
            self._dtls = dtls
        self._ca = ca
        self.view = memoryview(buf)
        self._sock = self._stream = self._token = self._request = None
        self._state = _IDLE

    @property
    def is_open(self):
        return self._sock is not None

    @property
    def busy(self):
        """True while a request waits for its answer."""
        return self._state != _IDLE

    def open(self):
        """Makes the socket. A DTLS handshake is driven by poll() once there is a request."""
        import socket

        self._feed(True)
        try:
            found = socket.getaddrinfo(self._server[0], int(str(self._server[1])))  # as net.py's
        except (OSError, OverflowError):
            raise OSError(_EHOSTUNREACH)  # a port has its own number, or a text, for it
        finally:
            self._feed()
        info = ([one for one in found if one[0] == socket.AF_INET] or found)[0]
        sock = socket.socket(info[0], socket.SOCK_DGRAM)
        try:
            sock.connect(info[-1])
            sock.setblocking(False)
            self._stream = self._dtls.wrap(sock, self._server[0], self._ca) if self._dtls else sock
        except BaseException:
            sock.close()
            raise
        self._sock = sock
        self._state = _IDLE
        self._mid = random.getrandbits(16)
        self._agreed = False
        self._observed = None
        self._seen = []

    def close(self):
        if self._sock:
            try:
                self._stream.close()
                if self._dtls:
                    self._sock.close()
            except TROUBLE:
                pass
        self._sock = self._stream = self._request = None
        self._state = _IDLE

    def request(self, code, options, payload=b"", observe=False):
        """Sends a request; poll() then tells of its answer. options: (number, value) in ascending order, as
        native.coap_write takes them. observe: the answers to come, as many as there are, belong to it."""
        self._mid = self._mid + 1 & 0xFFFF
        if observe and self._observed:
            self._token = self._observed  # the same token renews an observation
        else:
            self._token = os.urandom(_TOKEN)
            if observe:
                self._observed = self._token
        self._request = native.coap_write(_CON, code, self._mid, self._token, options, payload)
        if len(self._request) > _DATAGRAM:
            raise OSError(_E_LONG)
        self._tries = 0
        self._timeout_ms = self.ack_timeout_ms + (self.ack_timeout_ms * random.getrandbits(8) >> 9)
        self._state = _UNSENT
        self._until = time.ticks_add(time.ticks_ms(), _HANDSHAKE_MS)
        self._transmit()

    def poll(self, wait_ms=0):
        """Takes at most one datagram, waits at most wait_ms for it. Returns NOTHING, or RESPONSE or NOTIFICATION with
        `message`, which native.coap_read describes, and payload(), or CUT. OSError if the server is gone."""
        if self._state == _UNSENT:
            self._transmit()
        if self._seen and time.ticks_diff(time.ticks_ms(), self._seen_ms) >= _EXCHANGE_LIFETIME_MS:
            self._seen = []  # while ticks can still tell: they begin again within days
        n = self._receive()
        end = time.ticks_add(time.ticks_ms(), wait_ms)
        while not n and time.ticks_diff(end, time.ticks_ms()) > 0:
            time.sleep_ms(1)
            n = self._receive()
        if n:
            event = self._take(n)
            if event:
                return event
        if self._state != _IDLE and time.ticks_diff(self._until, time.ticks_ms()) <= 0:
            if self._state != _SENT or self._tries > _MAX_RETRANSMIT:
                raise OSError(_ETIMEDOUT)
            self._transmit()
        return NOTHING

    def payload(self):
        """The last message's, which stands in the buffer until its next use."""
        return self.view[self.message.payload : self.message.end]

    def _transmit(self):
        if not self._write(self._request):
            return  # the handshake is not over, or the socket is full
        if self._state == _UNSENT:
            self._state = _SENT
        self._until = time.ticks_add(time.ticks_ms(), self._timeout_ms << self._tries)
        self._tries += 1

    def _write(self, message):
        try:
            done = self._stream.write(message)
        except (OSError, ValueError) as e:
            raise self._fault(e)
        if done:
            self._agreed = True  # the handshake is over: what comes now may be a lost session, and no refusal
            Link.sent += 1
        return done

    def _fault(self, e):
        if not self._dtls:
            return e
        return OSError(_ECONNRESET) if self._agreed else self._dtls.fault(e)

    def _receive(self):
        try:
            n = native.datagram(self._stream, self.view)
        except (OSError, ValueError) as e:
            raise self._fault(e)
        if n == 0 and self._dtls:
            raise OSError(_ECONNRESET)  # the peer has ended the session
        if n:
            Link.received += 1
        return n

    def _take(self, n):
        self.message = message = native.coap_read(self.view, n)
        if not message:
            return NOTHING
        kind, code, mid, token = message[:4]
        if kind == _RST or code == _EMPTY:
            return self._control(kind, mid) if code == _EMPTY and n == _HEAD else NOTHING
        if kind == _CON and mid in self._seen:
            return self._answer(_ACK)
        waits = self._state != _IDLE and token == self._token
        good = n > _DATAGRAM or message.payload >= 0
        # a request, or a class that is reserved; an answer to nobody; one that cannot be read
        if not 64 <= code < 192 or not (waits or token == self._observed) or not good:
            return NOTHING if kind == _ACK else self._answer(_RST)
        if kind == _ACK and not (self._state == _SENT and mid == self._mid):
            return NOTHING
        if kind == _CON:
            self._seen = [mid] + self._seen[: _SEEN - 1]
            self._seen_ms = time.ticks_ms()
            self._answer(_ACK)
        if waits:
            self._state = _IDLE
            self._request = None
        event = RESPONSE if waits else NOTIFICATION
        return event if n <= _DATAGRAM else CUT if waits else CUT_NOTIFICATION

    def _control(self, kind, mid):
        """An empty message: acknowledgement, reset, or a ping."""
        if kind == _CON:
            return self._answer(_RST)
        if kind != _NON and self._state == _SENT and mid == self._mid:
            if kind == _RST:
                raise OSError(_ECONNRESET)
            self._state = _ACKED
            self._until = time.ticks_add(time.ticks_ms(), self.separate_ms)
        return NOTHING

    def _answer(self, kind):
        """An empty message of this kind to the last one."""
        self._write(native.coap_write(kind, _EMPTY, self.message.mid, b"", (), b""))
        return NOTHING
