"""The UDP ports before the CoAP server: one for plain CoAP, one for CoAP over DTLS 1.2.

Every peer gets a socket of its own towards the server, so that to the server each is an endpoint; but only once it has something
to say to the server, and over DTLS nothing is kept of a peer that has not returned its cookie. Where noise is given
(chaos.py), datagrams pass through it.
"""
# SPDX-License-Identifier: MIT

import asyncio
import contextlib
import hashlib
import hmac
import secrets
import socket
import time
from collections import OrderedDict

from OpenSSL import SSL

from mpota import ports

MAX_PEERS = 8192  # at one port, and as many that have logged in
STRANGER_S, MEMBER_S = 120, 24 * 3600  # of silence, after which a peer is forgotten
MTU = 1400
_RECORD = 13  # bytes of a DTLS record's header
_HANDSHAKE, _CLIENT_HELLO = 22, 1
_RANDOM = slice(27, 59)  # of an unfragmented hello: a handshake's own
_MAX_RECORD = 1 << 14  # bytes; of a longer datagram OpenSSL leaves the rest before the next one


class Plain:
    """A peer without encryption."""

    begun = False  # there is nothing to keep

    def __init__(self, addr, to_server, to_peer):
        self._to_server, self.send = to_server, to_peer

    def receive(self, datagram):
        """Takes a datagram from the peer."""
        self._to_server(datagram)

    def close(self):
        """Has nothing to close."""


class Listener:
    """Where DTLS sessions begin: with a hello that returns the cookie of the address it comes from."""

    def __init__(self, certificates):
        self._context = dtls_context(certificates)
        self._secret = secrets.token_bytes(16)
        self._next = self._connection()

    def hear(self, hello, addr, to_peer):
        """A connection that has begun, or None."""
        connection = self._next
        connection.set_app_data(hmac.digest(self._secret, repr(addr).encode(), hashlib.sha256)[:16])
        with contextlib.suppress(SSL.Error):
            connection.bio_write(hello)
            connection.DTLSv1_listen()
            self._next = self._connection()
            return connection
        _flush(connection, to_peer)
        return None

    def _connection(self):
        connection = SSL.Connection(self._context, None)
        connection.set_accept_state()
        connection.set_ciphertext_mtu(MTU)
        return connection


class Dtls:
    """A peer's DTLS session, and the handshake that will replace it when the peer starts over (RFC 6347 4.2.8)."""

    def __init__(self, listener, addr, to_server, to_peer):
        self._listener, self._addr, self._to_server, self._to_peer = listener, addr, to_server, to_peer
        self._session = self._next = self._random = None
        self._timer = None

    @property
    def begun(self):
        """True for a peer that has returned the cookie."""
        return bool(self._session or self._next)

    def receive(self, datagram):
        """Takes a datagram from the peer."""
        if len(datagram) > _MAX_RECORD:
            return
        if _is_hello(datagram) and datagram[_RANDOM] != self._random:  # not the one again that has been taken
            if connection := self._listener.hear(datagram, self._addr, self._to_peer):
                self._next, self._random = Session(connection, self._to_server), datagram[_RANDOM]
                self._feed(self._next, b"")
        elif session := self._next or self._session:
            self._feed(session, datagram)

    def send(self, data):
        """Encrypts a datagram of the server's."""
        if self._session:
            with contextlib.suppress(SSL.Error):
                self._session.connection.send(data)
            _flush(self._session.connection, self._to_peer)

    def close(self):
        """Says goodbye."""
        if self._session:
            with contextlib.suppress(SSL.Error):
                self._session.connection.shutdown()
            _flush(self._session.connection, self._to_peer)
        if self._timer:
            self._timer.cancel()

    def _feed(self, session, datagram):
        session.feed(datagram)
        _flush(session.connection, self._to_peer)
        if session is self._next and session.done:
            self._session, self._next = session, None
        if session is self._next and session.failed:
            self._next = None
        self._schedule(session)

    def _schedule(self, session):
        if self._timer:
            self._timer.cancel()
        self._timer = None
        wait = session.connection.DTLSv1_get_timeout() if session is self._next else None
        if wait is not None:
            self._timer = asyncio.get_running_loop().call_later(wait + 0.01, self._overdue, session)

    def _overdue(self, session):
        try:
            session.connection.DTLSv1_handle_timeout()
        except SSL.Error:  # OpenSSL has given up, but its clock goes on
            self._next = None
        _flush(session.connection, self._to_peer)
        self._schedule(session)


class Session:
    """One handshake and what follows it."""

    def __init__(self, connection, deliver):
        self.connection = connection
        self.done = self.failed = False
        self._deliver = deliver

    def feed(self, datagram):
        """Takes a datagram; delivers what it holds. What is no DTLS is dropped."""
        with contextlib.suppress(SSL.Error):
            if datagram:
                self.connection.bio_write(datagram)
            if not self.done:
                try:
                    self.connection.do_handshake()
                except SSL.WantReadError:
                    return
                except SSL.Error:
                    self.failed = True
                    return
                self.done = True
            while True:
                self._deliver(self.connection.recv(1 << 14))


def _is_hello(datagram):
    return datagram[:1] == bytes([_HANDSHAKE]) and datagram[3:5] == b"\0\0" and datagram[13:14] == bytes([_CLIENT_HELLO])


def _flush(connection, to_peer):
    with contextlib.suppress(SSL.WantReadError):
        data = connection.bio_read(1 << 16)
        while data:  # one record a datagram
            end = _RECORD + int.from_bytes(data[_RECORD - 2 : _RECORD])
            to_peer(data[:end])
            data = data[end:]


def dtls_context(certificates):
    """The server's side of DTLS 1.2 with cookies, its certificate shown."""
    context = SSL.Context(SSL.DTLS_SERVER_METHOD)
    context.use_certificate_chain_file(str(certificates.server))
    context.use_privatekey_file(str(certificates.server_key))
    context.set_options(SSL.OP_COOKIE_EXCHANGE | SSL.OP_NO_TICKET)
    context.set_cookie_generate_callback(lambda connection: connection.get_app_data())
    context.set_cookie_verify_callback(lambda connection, given: given == connection.get_app_data())
    return context


class Peer:
    """Whoever sends from one address: the channel to it, and its socket towards the server, which is there when it is needed."""

    def __init__(self, front, addr):
        self.addr, self.socket, self.endpoint = addr, None, None
        self._front = front
        self.channel = front.make(addr, self._to_server, self._to_peer)

    def close(self):
        """Says goodbye."""
        self.channel.close()
        if self.socket:
            asyncio.get_running_loop().remove_reader(self.socket)
            self.socket.close()

    def _to_server(self, data):
        with contextlib.suppress(OSError):  # no socket is left, or nobody listens: the datagram is lost
            if self.socket is None:
                self._connect()
            self.socket.send(data)

    def _connect(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.connect(self._front.target)
        self.endpoint = self.socket.getsockname()
        asyncio.get_running_loop().add_reader(self.socket, self._from_server)

    def _from_server(self):
        with contextlib.suppress(OSError):
            self.channel.send(self.socket.recv(1 << 16))

    def _to_peer(self, data):
        self._front.pass_on(data, lambda noisy: self._front.send(noisy, self.addr))


class Front(asyncio.DatagramProtocol):
    """Peers on one side, the server's address `target` on the other. `make(addr, to_server, to_peer)` gives a Plain or a Dtls."""

    def __init__(self, target, make, noise=None):
        self.target, self.make, self._noise = target, make, noise
        self._peers, self._members = OrderedDict(), OrderedDict()  # address: Peer, the latest last; members have logged in

    @classmethod
    async def open(cls, sock, target, make, noise=None):
        """A front on the bound UDP socket `sock`."""
        loop = asyncio.get_running_loop()
        return (await loop.create_datagram_endpoint(lambda: cls(target, make, noise), sock=sock))[1]

    def close(self):
        """Ends all peers' sessions and closes the port."""
        for peer in (*self._peers.values(), *self._members.values()):
            peer.close()
        self._transport.close()

    def admit(self, endpoint):
        """The server has let in the peer whose socket has this address: strangers do not take its place any more."""
        for addr, peer in reversed(self._peers.items()):
            if peer.endpoint == endpoint:
                self._keep(self._members, self._peers.pop(addr))
                return

    def connection_made(self, transport):
        """asyncio's."""
        self._transport = transport

    def datagram_received(self, data, addr):
        """asyncio's."""
        self.pass_on(data, lambda noisy: self._from_peer(noisy, addr))

    def error_received(self, exc):
        """A peer that is gone."""

    def pass_on(self, data, on):
        """Through the noise, if there is any."""
        if self._noise:
            self._noise.pass_on(data, on)
        else:
            on(data)

    def send(self, data, addr):
        """To a peer."""
        if not self._transport.is_closing():
            self._transport.sendto(data, addr)

    def _from_peer(self, data, addr):
        if self._transport.is_closing():
            return
        peers = self._members if addr in self._members else self._peers
        peer = peers.get(addr) or Peer(self, addr)
        peer.channel.receive(data)
        if peer.socket or peer.channel.begun:
            self._keep(peers, peer)

    def _keep(self, peers, peer):
        peer.heard = time.monotonic()
        peers[peer.addr] = peer
        peers.move_to_end(peer.addr)
        silent = peer.heard - (MEMBER_S if peers is self._members else STRANGER_S)
        while len(peers) > min(MAX_PEERS, ports.share()) or next(iter(peers.values())).heard < silent:
            peers.popitem(last=False)[1].close()
