"""The same over CoAP: a cloud that says anything, on mpota's CoAP server, and a shop whose every datagram a test can write."""
# SPDX-License-Identifier: MIT

import concurrent.futures
import json
import threading

from aiocoap.numbers import codes
from mpota.coapserver import CoapServer
from mpota.store import Store
from mpota.udpfront import Dtls, Listener

from coap.peer import ACK, RST, Peer, raw
from e2e.air import Air
from e2e.cloud import WAIT_S

BLOCK_MAX = 1024


class CoapCloud:
    """As Cloud. A message that does not fit into a block of CoAP cannot arrive: `carries` tells."""

    huge = 30_000  # more does not even fit into a datagram

    def __init__(self, folder, certificates, devices):
        store = Store(folder, create=True)
        for device in devices:
            store.add_device(device.pk, device.dn, device.secret)
        store.close()
        self._reports, self._informs = {}, {}
        self._changed = threading.Condition()
        self._server = CoapServer(folder, "127.0.0.1", self._told, certificates)
        self._server.start()
        self.stop = self._server.stop

    @property
    def address(self):
        """What is typed at a board's prompt."""
        return f"coap://127.0.0.1:{self._server.port}"

    def carries(self, payload):
        return 0 < len(payload) <= BLOCK_MAX

    def send(self, device, payload):
        self._server.push(f"/ota/device/upgrade/{device}", payload)

    def reports(self, device):
        with self._changed:
            return list(self._reports.get(device, ()))

    def wait_report(self, device, start, test, timeout_s=WAIT_S):
        """Waits for a report, not before the one numbered `start`, for which test(step, desc) holds."""

        def found():
            return next((report for report in self._reports.get(device, ())[start:] if test(*report)), None)

        with self._changed:
            assert self._changed.wait_for(found, timeout_s), f"{device} did not say so: {self._reports.get(device, ())[start:]}"
            return found()

    def _told(self, topic, payload):
        _, _, _, kind, device = topic.split("/", 4)
        params = payload and json.loads(payload)["params"]  # None: it asks what there is for it
        with self._changed:
            if not params:
                pass
            elif kind == "progress":
                self._reports.setdefault(device, []).append((int(params["step"]), params["desc"]))
            else:
                self._informs.setdefault(device, []).append(params["version"])
            self._changed.notify_all()
        answer = concurrent.futures.Future()
        answer.set_result(b"")
        return answer


class CoapShop:
    """As Shop. certificates: for DTLS, or None. An answer is a function of a request and the body; it gives datagrams."""

    def __init__(self, certificates=None, host="127.0.0.1"):
        self.routes, self.visits = {}, []
        self._peer = Peer(self._answer)
        make = {}
        if certificates:
            listener = Listener(certificates)
            make = {"make": lambda addr, to_server, to_peer: Dtls(listener, addr, to_server, to_peer)}
        self._front = Air((host, 0), ("127.0.0.1", self._peer.port), **make)
        host, port = self._front.address
        self.base = f"coap{'s' if certificates else ''}://{host}:{port}"

    def offer(self, body, answer=None):
        path = f"/{len(self.routes)}.bin"
        self.routes[path[1:]] = answer or honest, body
        return self.base + path

    def visits_to(self, url):
        return [path for path in self.visits if f"{self.base}/{path}" == url]

    def stop(self):
        self._front.close()
        self._peer.__exit__()

    def _answer(self, request):
        if request.mtype in (ACK, RST):
            return ()
        path = "/".join(request.opt.uri_path)
        if not request.opt.block2.block_number:
            self.visits.append(path)
        answer, body = self.routes[path]
        return answer(request, body)


def block(request, body, **options):
    """The response that holds the block asked for; `options` replace its own, None takes one away."""
    number, _, szx = request.opt.block2
    start = number << szx + 4
    end = start + (16 << szx)
    options = {"block2": (number, end < len(body), szx), "size2": len(body), "etag": b"\x01", "payload": body[start:end]} | options
    return raw(codes.CONTENT, request, **{name: value for name, value in options.items() if value is not None})


def honest(request, body):
    return [block(request, body)]


def slowly(released):
    """Takes its time for every block until `released` is set."""

    def answer(request, body):
        released.wait(0.5)
        return honest(request, body)

    return answer
