"""The HTTP and HTTPS file server: artifacts with ranges and entity tags."""
# SPDX-License-Identifier: MIT

import re
import threading
import time
from pathlib import Path
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from mpota import ports
from mpota.errors import ToolError

START_S = 10
FORM_MAX = 1024
HEAD_S = 30  # until a peer has asked
NAME = re.compile(r"([0-9a-f]{64})\.bin")


def application(folder, register=None, chaos=None):
    """The ASGI application that serves `folder`. A file is named after its SHA-256, which is its entity tag too.

    register: answers Linkkit's form of a device that registers; None where that is not offered. chaos: makes faults."""
    folder = Path(folder)

    def artifact(request):
        match = NAME.fullmatch(request.path_params["name"])
        path = match and folder / match[0]
        if not path or not path.is_file():
            return Response(status_code=404)
        return FileResponse(path, headers={"ETag": f'"{match[1]}"'}, media_type="application/octet-stream")

    async def registered(request):
        body = b""
        try:
            async for part in request.stream():
                body += part
                if len(body) > FORM_MAX:
                    return Response(status_code=413)
        except ClientDisconnect:
            return Response(status_code=400)
        fields = dict(parse_qsl(body.decode(errors="replace")))
        return JSONResponse(await run_in_threadpool(register, fields))

    routes = [Route("/{name}", artifact)]
    if register:
        routes.append(Route("/auth/register/device", registered, methods=["POST"]))
    app = Starlette(routes=routes)
    return _title_case(chaos.files(app) if chaos else app)


def _title_case(app):
    """AliOS finds `Content-Length:` in exactly this spelling only."""

    async def wrapped(scope, receive, send):
        async def send_title_case(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [(name.title(), value) for name, value in message["headers"]]}
            await send(message)

        await app(scope, receive, send_title_case)

    return wrapped


class Connection(H11Protocol):
    """Of a peer that asks soon, or is let go."""

    def connection_made(self, transport):
        """asyncio's."""
        super().connection_made(transport)
        self.loop.call_later(HEAD_S, lambda: self.cycle or transport.abort())


class FileServer:
    """Serves a folder from a thread of its own."""

    def __init__(self, folder, host, port=0, certificates=None, register=None, chaos=None):
        self._socket = ports.listen(host, port)
        self.port = self._socket.getsockname()[1]
        tls = {}
        if certificates:
            tls = {"ssl_certfile": certificates.server, "ssl_keyfile": certificates.server_key}
        config = uvicorn.Config(
            application(folder, register, chaos), http=Connection, ws="none", lifespan="off", log_config=None, access_log=False,
            server_header=False, timeout_graceful_shutdown=1, **tls,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def start(self):
        """Returns when requests are answered."""
        self._thread.start()
        deadline = time.monotonic() + START_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise ToolError(f"port {self.port}", "file server does not start")
            time.sleep(0.01)

    def stop(self):
        """Ends the thread and closes the port."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(5)
        self._socket.close()
