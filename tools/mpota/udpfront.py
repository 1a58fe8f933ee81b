"""The UDP ports before the CoAP server: one for plain CoAP, one for CoAP over DTLS 1.2.

Every peer gets a socket of its own towards the server, so that to the server each is an endpoint. Where noise is given
(chaos.py), datagrams pass through it.
"""
# SPDX-License-Identifier: MIT

import asyncio
import contextlib
import secrets
import socket
from collections import OrderedDict

from OpenSSL import SSL

MAX_PEERS = 1024
MTU = 1400
_RECORD = 13  # bytes of a DTLS record's header
_HANDSHAKE, _CLIENT_HELLO = 22, 1


class Plain:
    """A peer without encryption."""

    def __init__(self, to_server, to_peer):
        self._to_server, self.send = to_server, to_peer

    def receive(self, datagram):
        """Takes a datagram from the peer."""
        self._to_server(datagram)

    def close(self):
        """Has nothing to close."""


class Dtls:
    """A peer's DTLS session, and the one that will replace it when the peer starts over (RFC 6347 4.2.8)."""

    def __init__(self, context, to_server, to_peer):
        self._context, self._to_server, self._to_peer = context, to_server, to_peer
        self._cookie = secrets.token_bytes(16)  # there is one of us for each address
        self._session = self._begin()
        self._next = None
        self._timer = None

    def receive(self, datagram):
        """Takes a datagram from the peer."""
        plain_handshake = datagram[:1] == bytes([_HANDSHAKE]) and datagram[3:5] == b"\0\0"
        if self._session.done and self._next is None and plain_handshake and datagram[13:14] == bytes([_CLIENT_HELLO]):
            self._next = self._begin()
        session = self._session
        if self._next is not None and (datagram[3:5] == b"\0\0" or not self._next.listening):
            session = self._next  # a peer that has returned the cookie is no forger
        session.feed(datagram)
        if session is self._next and session.done:
            self._session, self._next = session, None
        self._flush(session)

    def send(self, data):
        """Encrypts a datagram of the server's."""
        if self._session.done:
            with contextlib.suppress(SSL.Error):
                self._session.connection.send(data)
            self._flush(self._session)

    def close(self):
        """Says goodbye."""
        with contextlib.suppress(SSL.Error):
            self._session.connection.shutdown()
        self._flush(self._session)
        if self._timer:
            self._timer.cancel()

    def _begin(self):
        return Session(self._context, self._cookie, self._to_server)

    def _flush(self, session):
        with contextlib.suppress(SSL.WantReadError):
            data = session.connection.bio_read(1 << 16)
            while data:  # one record a datagram
                end = _RECORD + int.from_bytes(data[_RECORD - 2 : _RECORD])
                self._to_peer(data[:end])
                data = data[end:]
        self._schedule(session)

    def _schedule(self, session):
        if self._timer:
            self._timer.cancel()
        self._timer = None
        wait = None if session.done or session.listening else session.connection.DTLSv1_get_timeout()
        if wait is not None:
            self._timer = asyncio.get_running_loop().call_later(wait + 0.01, self._overdue, session)

    def _overdue(self, session):
        with contextlib.suppress(SSL.Error):
            session.connection.DTLSv1_handle_timeout()
        self._flush(session)


class Session:
    """One handshake and what follows it."""

    def __init__(self, context, cookie, deliver):
        self.connection = SSL.Connection(context, None)
        self.connection.set_app_data(cookie)
        self.connection.set_accept_state()
        self.connection.set_ciphertext_mtu(MTU)
        self.listening, self.done = True, False
        self._deliver = deliver

    def feed(self, datagram):
        """Takes a datagram; delivers what it holds. What is no DTLS is dropped."""
        if not datagram:
            return
        with contextlib.suppress(SSL.WantReadError, SSL.ZeroReturnError, SSL.Error):
            self.connection.bio_write(datagram)
            if self.listening:
                self.connection.DTLSv1_listen()
                self.listening = False
            if not self.done:
                self.connection.do_handshake()
                self.done = True
            while True:
                self._deliver(self.connection.recv(1 << 14))


def dtls_context(certificates):
    """The server's side of DTLS 1.2 with cookies, its certificate shown."""
    context = SSL.Context(SSL.DTLS_SERVER_METHOD)
    context.use_certificate_chain_file(str(certificates.server))
    context.use_privatekey_file(str(certificates.server_key))
    context.set_options(SSL.OP_COOKIE_EXCHANGE | SSL.OP_NO_TICKET)
    context.set_cookie_generate_callback(lambda connection: connection.get_app_data())
    context.set_cookie_verify_callback(lambda connection, given: given == connection.get_app_data())
    return context


class Front(asyncio.DatagramProtocol):
    """Peers on one side, the server's address `target` on the other. `make(to_server, to_peer)` gives a Plain or a Dtls."""

    def __init__(self, target, make, noise=None):
        self._target, self._make, self._noise = target, make, noise
        self._peers = OrderedDict()  # address: (channel, socket)

    @classmethod
    async def open(cls, sock, target, make, noise=None):
        """A front on the bound UDP socket `sock`."""
        loop = asyncio.get_running_loop()
        return (await loop.create_datagram_endpoint(lambda: cls(target, make, noise), sock=sock))[1]

    def close(self):
        """Ends all peers' sessions and closes the port."""
        while self._peers:
            self._forget()
        self._transport.close()

    def connection_made(self, transport):
        """asyncio's."""
        self._transport = transport

    def datagram_received(self, data, addr):
        """asyncio's."""
        self._pass(data, lambda noisy: self._from_peer(noisy, addr))

    def error_received(self, exc):
        """A peer that is gone."""

    def _pass(self, data, on):
        if self._noise:
            self._noise.pass_on(data, on)
        else:
            on(data)

    def _channel(self, addr):
        if addr in self._peers:
            self._peers.move_to_end(addr)
            return self._peers[addr][0]
        while len(self._peers) >= MAX_PEERS:
            self._forget()
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.connect(self._target)
        channel = self._make(lambda data: _send(sock, data), lambda data: self._pass(data, lambda d: self._to_peer(d, addr)))
        asyncio.get_running_loop().add_reader(sock, self._from_server, sock, channel)
        self._peers[addr] = channel, sock
        return channel

    def _from_peer(self, data, addr):
        if self._transport.is_closing():
            return
        try:
            channel = self._channel(addr)
        except OSError:
            return  # no socket is left: the datagram is lost
        channel.receive(data)

    def _to_peer(self, data, addr):
        if not self._transport.is_closing():
            self._transport.sendto(data, addr)

    def _from_server(self, sock, channel):
        with contextlib.suppress(OSError):
            channel.send(sock.recv(1 << 16))

    def _forget(self):
        _, (channel, sock) = self._peers.popitem(last=False)
        channel.close()
        asyncio.get_running_loop().remove_reader(sock)
        sock.close()


def _send(sock, data):
    with contextlib.suppress(OSError):
        sock.send(data)
