"""The network between a board and its server: a TCP relay that counts, holds back and cuts."""
# SPDX-License-Identifier: MIT

import contextlib
import socket
import threading
import time

_CHUNK = 4096


class Link:
    """Relays address -> target, both (host, port). Byte counts are those of the way down to the board.

    requests: for every connection, the first bytes the board sent (readable for plain HTTP).
    delay_s: how long what comes down is on its way.
    """

    delay_s = 0

    def __init__(self, address, target):
        self.requests = []
        self.received = []
        self._target = target
        self._listener = socket.create_server(address)
        self._changed = threading.Condition()
        self._limit = None
        self._open = True
        self._pairs = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return self._listener.getsockname()

    def forget(self):
        """Starts the counts anew."""
        self.requests, self.received = [], []

    def hold_after(self, n_bytes):
        """From now on no connection passes more than this many bytes down; None lets everything flow."""
        with self._changed:
            self._limit = n_bytes
            self._changed.notify_all()

    @contextlib.contextmanager
    def held(self, n_bytes):
        """Starts the counts anew; while the context lasts no connection passes more than this many bytes down."""
        self.forget()
        self.hold_after(n_bytes)
        try:
            yield
        finally:
            self.hold_after(None)

    def wait_held(self, timeout_s=30):
        """Waits until a connection has come to the limit."""
        with self._changed:
            if not self._changed.wait_for(lambda: any(n >= self._limit for n in self.received), timeout_s):
                raise AssertionError(f"nothing was held at {self._limit} bytes: {self.received}")

    def cut(self):
        """Ends every connection there is."""
        with self._changed:
            for pair in self._pairs:
                for sock in pair:
                    with contextlib.suppress(OSError):
                        sock.shutdown(socket.SHUT_RDWR)
            self._changed.notify_all()

    def down(self):
        """Cuts, and takes new connections only to end them at once, until up()."""
        self._open = False
        self.cut()

    def up(self):
        self._open = True

    def close(self):
        self._open = False
        self.hold_after(None)
        self.cut()
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                board, _ = self._listener.accept()
                threading.Thread(target=self._relay, args=(board,), daemon=True).start()

    def _relay(self, board):
        if not self._open:
            board.close()
            return
        try:
            server = socket.create_connection(self._target)
        except OSError:
            board.close()
            return
        with self._changed:
            number = len(self.received)
            self.received.append(0)
            self.requests.append(b"")
            pair = (board, server)
            self._pairs.add(pair)
        counts, heads = self.received, self.requests
        up = threading.Thread(target=self._up, args=(board, server, heads, number), daemon=True)
        up.start()
        self._down(server, board, counts, number)
        up.join()
        with self._changed:
            self._pairs.discard(pair)
        board.close()
        server.close()

    def _up(self, board, server, heads, number):
        with contextlib.suppress(OSError):
            while data := board.recv(_CHUNK):
                heads[number] = (heads[number] + data)[:_CHUNK]
                server.sendall(data)
        _end(server)

    def _down(self, server, board, counts, number):
        with contextlib.suppress(OSError):
            while True:
                n = self._allowance(counts, number, server)
                data = server.recv(n) if n else b""
                if not data:
                    break
                time.sleep(self.delay_s)
                board.sendall(data)
                with self._changed:
                    counts[number] += len(data)
                    self._changed.notify_all()
        _end(board)

    def _allowance(self, counts, number, server):
        """How many bytes may pass now; 0 after a cut."""

        def left():
            return _CHUNK if self._limit is None else max(self._limit - counts[number], 0)

        with self._changed:
            self._changed.wait_for(lambda: left() or _is_cut(server))
            return min(left(), _CHUNK)


def _end(sock):
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _is_cut(sock):
    try:
        return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
