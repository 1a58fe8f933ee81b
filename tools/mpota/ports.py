"""Ports: those given, and free ones."""
# SPDX-License-Identifier: MIT

import errno
import re
import resource
import socket

from mpota.errors import ToolError

KEEPALIVE_S = 60  # of silence, until the system asks a peer whether it is there

_HOST = re.compile(r"[A-Za-z0-9._:-]+")


def check_host(host):
    """Refuses what can be neither a host's name nor its address."""
    if not _HOST.fullmatch(host):
        raise ToolError(repr(host), "not a host's name or address, which is ASCII")


class _Listener(socket.socket):
    """Has no more connections open than share(), in a handshake or not."""

    def __init__(self, fileno):
        super().__init__(fileno=fileno)
        self._open = []

    def accept(self):
        """Ends the connection at once if it is one too many."""
        peer, address = super().accept()
        if len(self._open) >= share():
            self._open = [sock for sock in self._open if sock.fileno() >= 0]
        if len(self._open) >= share():
            peer.close()
            raise ConnectionAbortedError
        self._open.append(peer)
        return peer, address


def listen(host, port):
    """A socket bound to host and port; port 0 takes a free one. A peer that vanishes does not keep its connection for ever."""
    try:
        sock = _Listener(socket.create_server((host, port), backlog=128).detach())
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ToolError(f"{host}:{port}", "port is taken") from error
        raise ToolError(f"{host}:{port}", error.strerror or str(error)) from error
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # accepted ones inherit it
    if hasattr(socket, "TCP_KEEPIDLE"):  # the system's own may be two hours
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
    return sock


def share():
    """How many peers of one kind may have a socket: of each listener's, and at each UDP port members and strangers. An eighth of
    what the process may open, so that there is always a file left for the store."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8


def probe(host, port):
    """The port if it can be bound, or a free one for 0. For servers that cannot be handed a socket."""
    with listen(host, port) as sock:
        return sock.getsockname()[1]


def accepts(host, port):
    """True if somebody listens there."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def listen_udp(host, port=0):
    """A UDP socket bound to host and port; port 0 takes a free one."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        reason = "port is taken" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise ToolError(f"{host}:{port}", reason) from error
    sock.setblocking(False)
    return sock


def probe_udp(host):
    """A free UDP port, for servers that cannot be handed a socket."""
    with listen_udp(host) as sock:
        return sock.getsockname()[1]
