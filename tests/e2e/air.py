"""A UDP relay in a thread of its own: the network between a board and its server, as bad as a test wants it."""
# SPDX-License-Identifier: MIT

import asyncio
import threading

from mpota import ports
from mpota.noise import Noise
from mpota.udpfront import Front, Plain


class Air:
    """Relays address -> target, both (host, port), in both directions through `noise`. make: what meets a peer, as Front's."""

    def __init__(self, address, target, noise=None, make=Plain):
        self.noise = noise or Noise(0)
        self._make = make
        self._socket = ports.listen_udp(*address)
        self.address = self._socket.getsockname()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(target,), daemon=True)
        self._thread.start()

    def close(self):
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(5)
        self._socket.close()

    def _run(self, target):
        self._loop.run_until_complete(self._relay(target))

    async def _relay(self, target):
        self._end = asyncio.Event()
        front = await Front.open(self._socket, target, self._make, self.noise)
        await self._end.wait()
        front.close()
