"""CoAP's message layer (RFC 7252 section 4) over one UDP socket or DTLS 1.2 session.

One request is outstanding at a time (NSTART is 1), one datagram is held. Requests are confirmable and repeated with
growing pauses; answers come in the acknowledgement or separately; what is met twice is acknowledged twice and
delivered once; what is not for us is reset.
"""

# SPDX-License-Identifier: MIT
import os
import random
import select
import time

from micropython import const

from ota import native
from ota.transport.coap_message import ACK, CON, NON, RST, TOKEN, Reader, Seen, Writer

NOTHING = const(0)
RESPONSE = const(1)
NOTIFICATION = const(2)
CUT = const(3)  # the response did not fit into a datagram of ours
CUT_NOTIFICATION = const(4)

_IDLE = const(0)
_UNSENT = const(1)
_SENT = const(2)
_ACKED = const(3)
_DATAGRAM = const(1280)  # bytes; the largest of Linkkit's, and a block of 1024 with its options
_REQUEST = const(640)  # bytes; a login, or a report with its token
_MAX_RETRANSMIT = const(4)
_HANDSHAKE_MS = const(30000)
_EMPTY = const(0)
_HEAD = const(4)  # bytes of an empty message
_ETIMEDOUT = const(110)
_ECONNRESET = const(104)


class Link:
    """server: (host, port). secure: DTLS. ca: the CA certificate for it. request: bytes of the longest request."""

    ack_timeout_ms = 2000  # the RFC's ACK_TIMEOUT
    separate_ms = 30000  # how long an answer may come after its acknowledgement
    sent = received = 0  # datagrams of all links
    view = memoryview(bytearray(_DATAGRAM + 1))  # of all links: a datagram is taken, answered and used up before the next poll of any
    message = Reader(view)

    def __init__(self, server, secure, ca, request=_REQUEST):
        self._server = server
        self._dtls = None
        if secure:
            from ota.transport import dtls

            dtls.require()
            self._dtls = dtls
        self._ca = ca
        self._sock = self._stream = None
        self._state = _IDLE
        self._reply = Writer(_HEAD)
        self.request = Writer(request)
        self._seen = Seen()
        self._token = bytearray(TOKEN)

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

        info = socket.getaddrinfo(self._server[0], self._server[1])[0]
        sock = socket.socket(info[0], socket.SOCK_DGRAM)
        try:
            sock.connect(info[-1])
            sock.setblocking(False)
            self._stream = self._dtls.wrap(sock, self._server[0], self._ca) if self._dtls else sock
        except BaseException:
            sock.close()
            raise
        self._poller = select.poll()
        self._poller.register(sock, select.POLLIN)
        self._sock = sock
        self._state = _IDLE
        self._mid = random.getrandbits(16)
        self._token[:] = os.urandom(TOKEN)
        self._count = self._number = self._observed = 0
        self._seen.forget()

    def close(self):
        if self._sock:
            try:
                self._stream.close()
                if self._dtls:
                    self._sock.close()
            except OSError:
                pass
        self._sock = self._stream = None
        self._state = _IDLE

    def begin(self, code, observe=False):
        """Begins the next request; options and payload are then written to what it returns. observe: the answers to
        come, as many as there are, belong to this request."""
        self._mid = self._mid + 1 & 0xFFFF
        if observe and self._observed:
            self._number = self._observed  # the same token renews an observation
        else:
            self._count = self._count % 0xFFFF + 1
            if self._count == self._observed:
                self._count = self._count % 0xFFFF + 1
            self._number = self._count
            if observe:
                self._observed = self._number
        self._token[TOKEN - 2] = self._number >> 8
        self._token[TOKEN - 1] = self._number & 255
        self.request.begin(CON, code, self._mid, TOKEN)
        self.request.bytes(self._token)
        return self.request

    def send(self):
        """Sends the request; poll() then tells of its answer."""
        self._tries = 0
        self._timeout_ms = self.ack_timeout_ms + (self.ack_timeout_ms * random.getrandbits(8) >> 9)
        self._state = _UNSENT
        self._until = time.ticks_add(time.ticks_ms(), _HANDSHAKE_MS)
        self._transmit()

    def poll(self, wait_ms=0):
        """Takes at most one datagram, waits at most wait_ms for it. Returns NOTHING, or RESPONSE or NOTIFICATION with
        `message` and `view`, or CUT. OSError if the server is gone."""
        if self._state == _UNSENT:
            self._transmit()
        n = self._receive()
        if not n and wait_ms:
            for _ in self._poller.ipoll(wait_ms):
                pass
            n = self._receive()
        if n:
            event = self._take(n)
            if event:
                return event
        if self._state != _IDLE and time.ticks_diff(self._until, time.ticks_ms()) <= 0:
            self._overdue()
        return NOTHING

    def _overdue(self):
        if self._state != _SENT or self._tries > _MAX_RETRANSMIT:
            raise OSError(_ETIMEDOUT)
        self._transmit()

    def _transmit(self):
        if not self._write(self.request):
            return  # the handshake is not over, or the socket is full
        if self._state == _UNSENT:
            self._state = _SENT
        self._until = time.ticks_add(time.ticks_ms(), self._timeout_ms << self._tries)
        self._tries += 1

    def _write(self, message):
        try:
            done = self._stream.write(message.buf, message.n)
        except (OSError, ValueError) as e:
            raise self._dtls.fault(e) if self._dtls else e
        if done:
            Link.sent += 1
        return done

    def _receive(self):
        try:
            n = native.datagram(self._stream, self.view)
        except (OSError, ValueError) as e:
            raise self._dtls.fault(e) if self._dtls else e
        if n == 0 and self._dtls:
            raise OSError(_ECONNRESET)  # the peer has ended the session
        if n:
            Link.received += 1
        return n

    def _take(self, n):
        message = self.message
        if not message.header(n):
            return NOTHING
        kind = message.kind
        if kind == RST or message.code == _EMPTY:
            return self._control(kind) if message.code == _EMPTY and n == _HEAD else NOTHING
        if not 64 <= message.code < 192:
            return self._reject(kind)  # a request, or a class that is reserved
        if kind == CON and self._seen.has(message.mid):
            self._answer(ACK)
            return NOTHING
        number = self._matches(message)
        if number < 0 or n > _DATAGRAM or not message.options():
            return self._cut(kind, number) if n > _DATAGRAM else self._reject(kind)
        if kind == ACK and not (self._state == _SENT and message.mid == self._mid):
            return NOTHING
        return self._deliver(kind, number)

    def _deliver(self, kind, number):
        waits = self._state != _IDLE and number == self._number
        if not waits and not (self._observed and number == self._observed):
            return self._reject(kind)
        if kind == CON:
            self._seen.add(self.message.mid)
            self._answer(ACK)
        if not waits:
            return NOTIFICATION
        self._state = _IDLE
        return RESPONSE

    def _cut(self, kind, number):
        """A message longer than our buffer: told if it was for us, reset if not."""
        event = self._deliver(kind, number) if number > 0 else self._reject(kind)
        return CUT if event == RESPONSE else CUT_NOTIFICATION if event else NOTHING

    def _control(self, kind):
        """An empty message: acknowledgement, reset, or a ping."""
        if kind == CON:
            self._answer(RST)
        elif kind != NON and self._state == _SENT and self.message.mid == self._mid:
            if kind == RST:
                raise OSError(_ECONNRESET)
            self._state = _ACKED
            self._until = time.ticks_add(time.ticks_ms(), self.separate_ms)
        return NOTHING

    def _matches(self, message):
        """The number of the request that a token belongs to, -1 if it is none of ours."""
        if message.token_length != TOKEN:
            return -1
        for i in range(TOKEN - 2):
            if self.view[_HEAD + i] != self._token[i]:
                return -1
        return self.view[TOKEN + 2] << 8 | self.view[TOKEN + 3]

    def _reject(self, kind):
        if kind == CON or kind == NON:
            self._answer(RST)
        return NOTHING

    def _answer(self, kind):
        self._reply.begin(kind, _EMPTY, self.message.mid)
        self._write(self._reply)
