"""One serial port for many: joins a board's UART with a pty, a plain TCP port and an RFC 2217 port.

Everybody hears the board; what anybody says goes to the board, or to the ROM's download mode. The modem lines of the
RFC 2217 port are wired as on every ESP8266 board: RTS without DTR holds the chip in reset, DTR without RTS pulls GPIO0 low.
"""

import contextlib
import os
import selectors
import socket
import threading
import time
import tty
from collections.abc import Callable

from serial.rfc2217 import PortManager

# With both lines set reset is released and GPIO0 still high. Tools pass through here on the way to pulling GPIO0 low, one
# line at a time and 50 ms or more for each over RFC 2217; on boards a capacitor at EN bridges that.
_SETTLE_SECONDS = 0.5
_CHUNK = 4096
_PATIENCE_SECONDS = 2.0  # with a side that takes nothing: a hung board loses bytes, a host that does not read is dropped


class _Lines:
    """What pyserial's PortManager takes for a serial port."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.baudrate, self.bytesize, self.parity, self.stopbits = 115200, 8, "N", 1
        self.xonxoff = self.rtscts = self.break_condition = False
        self.cts = self.dsr = self.cd = True
        self.ri = False
        self._dtr = self._rts = False
        self._changed = changed

    @property
    def dtr(self) -> bool:
        return self._dtr

    @dtr.setter
    def dtr(self, on: bool) -> None:
        self._dtr = on
        self._changed()

    @property
    def rts(self) -> bool:
        return self._rts

    @rts.setter
    def rts(self, on: bool) -> None:
        self._rts = on
        self._changed()

    def reset_input_buffer(self) -> None:
        pass

    def reset_output_buffer(self) -> None:
        pass


class _Sender:
    """A connection PortManager may write to."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)  # the hub hears of it when it reads next


class SerialHub:
    """`reset(download)` is called from the hub's thread when the lines say so."""

    def __init__(self, reset: Callable[[bool], None]) -> None:
        self._reset = reset
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._board: socket.socket | None = None
        self._plain: set[socket.socket] = set()
        self._managed: dict[socket.socket, PortManager] = {}
        self._loader: Callable[[bytes], bytes] | None = None
        self._held = False
        self._sample_at: float | None = None
        self._lines = _Lines(self._lines_changed)
        self._tcp = self._listen(self._accept_plain)
        self._rfc2217 = self._listen(self._accept_managed)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.pty = os.ttyname(self._slave)
        self._selector.register(self._master, selectors.EVENT_READ, self._from_pty)
        self._closing, waker = socket.socketpair()
        self._selector.register(waker, selectors.EVENT_READ, lambda: None)
        self._waker = waker
        self._running = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"socket://127.0.0.1:{self._tcp.getsockname()[1]}"

    @property
    def rfc2217_url(self) -> str:
        return f"rfc2217://127.0.0.1:{self._rfc2217.getsockname()[1]}"

    def attach(self, board: socket.socket) -> None:
        """The board's UART; replaces an earlier one."""
        board.settimeout(_PATIENCE_SECONDS)
        with self._lock:
            self._detach()
            self._board = board
            self._selector.register(board, selectors.EVENT_READ, self._from_board)
        self._wake()

    def set_loader(self, loader: Callable[[bytes], bytes] | None) -> None:
        """Download mode: what is sent goes to `loader`, its answers come back."""
        self._loader = loader

    def close(self) -> None:
        self._running = False
        self._wake()
        self._thread.join(timeout=5)
        for connection in [*self._plain, *self._managed, self._tcp, self._rfc2217, self._waker, self._closing]:
            connection.close()
        with self._lock:
            self._detach()
        os.close(self._master)
        os.close(self._slave)
        self._selector.close()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            self._closing.send(b"w")

    def _listen(self, accept: Callable[[socket.socket], None]) -> socket.socket:
        server = socket.create_server(("127.0.0.1", 0))

        def accepted() -> None:
            connection, _ = server.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(_PATIENCE_SECONDS)
            accept(connection)

        self._selector.register(server, selectors.EVENT_READ, accepted)
        return server

    def _accept_plain(self, connection: socket.socket) -> None:
        self._plain.add(connection)
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._from_plain(connection))

    def _accept_managed(self, connection: socket.socket) -> None:
        self._managed[connection] = PortManager(self._lines, _Sender(connection))
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._from_managed(connection))

    def _run(self) -> None:
        while self._running:
            timeout = None if self._sample_at is None else max(0.0, self._sample_at - time.monotonic())
            for key, _ in self._selector.select(timeout):
                if key.fileobj is self._waker:
                    self._waker.recv(_CHUNK)
                else:
                    key.data()
            if self._sample_at is not None and time.monotonic() >= self._sample_at:
                self._held, self._sample_at = False, None
                self._reset(self._lines.dtr and not self._lines.rts)

    def _lines_changed(self) -> None:
        dtr, rts = self._lines.dtr, self._lines.rts
        if rts and not dtr:
            self._held, self._sample_at = True, None
        elif self._held:
            self._sample_at = time.monotonic() + (_SETTLE_SECONDS if dtr and rts else 0)

    def _drop(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        self._plain.discard(connection)
        self._managed.pop(connection, None)
        connection.close()

    def _receive(self, connection: socket.socket) -> bytes:
        try:
            data = connection.recv(_CHUNK)
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
        return data

    def _from_plain(self, connection: socket.socket) -> None:
        self._to_board(self._receive(connection))

    def _from_managed(self, connection: socket.socket) -> None:
        manager, data = self._managed[connection], self._receive(connection)
        try:
            data = b"".join(manager.filter(data))
        except Exception:  # a request that is none; the library says so in any way
            return self._drop(connection)
        self._to_board(data)

    def _from_pty(self) -> None:
        with contextlib.suppress(OSError):
            self._to_board(os.read(self._master, _CHUNK))

    def _detach(self) -> None:
        if self._board is not None:
            self._selector.unregister(self._board)
            self._board.close()
            self._board = None

    def _from_board(self) -> None:
        with self._lock:
            try:
                data = self._board.recv(_CHUNK) if self._board else b""
            except OSError:
                data = b""
            if not data:
                self._detach()
        if self._loader is None:
            self._to_hosts(data)

    def _to_board(self, data: bytes) -> None:
        if not data:
            return
        if self._loader is not None:
            self._to_hosts(self._loader(data))
            return
        with self._lock, contextlib.suppress(OSError):
            if self._board is not None:
                self._board.sendall(data)

    def _to_hosts(self, data: bytes) -> None:
        for connection in list(self._plain):
            _Sender(connection).write(data)
        for connection, manager in list(self._managed.items()):
            _Sender(connection).write(b"".join(manager.escape(data)))
        with contextlib.suppress(OSError):  # nobody reads the pty: the board does not wait
            os.write(self._master, data)
