"""The service on a real port in this process, for real clients."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect

from project_manager.runtime.dispatch import Runtime
from project_manager.server import _configuration
from project_manager.web.application import api_application
from project_manager.web.connections import Connections
from project_manager.web.server import Server
from project_manager.web.websocket import EventsWebSocket
from tests.operations_client import TIMEOUT, Json

MOST_CONNECTIONS = 1000


@dataclass
class HttpService:
    """A listening service and a client of it."""

    runtime: Runtime
    port: int
    updates: EventsWebSocket
    connections: Connections
    client: httpx.AsyncClient = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Send a request. `body` is sent as JSON unless it is bytes; header names are written with _ for -."""
        named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        content = body if isinstance(body, bytes) or body is None else json.dumps(body)
        return await self.client.request(method, path, content=content, headers=named)

    async def ok(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        response = await self.send(method, path, body, **headers)
        assert response.is_success, response.text
        return response.json()

    async def error(self, status: int, method: str, path: str, body: Any = None, **headers: str) -> Json:
        """Send a request that must be refused. Check the shape of the error body and return it."""
        response = await self.send(method, path, body, **headers)
        assert response.status_code == status, response.text
        error: Json = response.json()
        assert list(error) == ["code", "message", "hint", "details", "request_id"]
        assert error["message"]
        assert error["request_id"] == response.headers["x-request-id"]
        return error

    def listen(self, query: str = "", **more: Any) -> connect:
        """Return a WebSocket for events, an async context manager."""
        return connect(f"ws://127.0.0.1:{self.port}/ws/updates?{query}", proxy=None, **more)


@asynccontextmanager
async def run_http_service(runtime: Runtime) -> AsyncIterator[HttpService]:
    """Serve the application of the API port. At the end of the block every connection ends, or the block fails."""
    updates = EventsWebSocket(runtime)
    configuration = _configuration(runtime.settings, api_application(runtime, updates, None, ()))
    configuration.load()
    connections = Connections(MOST_CONNECTIONS, runtime.metrics)
    server = Server(configuration, connections)
    server.lifespan = configuration.lifespan_class(configuration)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen(128)
        bound.setblocking(False)
        port = bound.getsockname()[1]
        await server.startup(sockets=[bound])
        try:
            base = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=base, timeout=TIMEOUT, trust_env=False, verify=False) as client:
                yield HttpService(runtime, port, updates, connections, client)
        finally:
            runtime.hub.close()
            await _ended(server)


async def _ended(server: Server) -> None:
    """Stop the server. Its own shutdown polls every tenth of a second, which is long for a test."""
    for listening in server.servers:
        listening.close()
    for connection in list(server.server_state.connections):
        connection.shutdown()
    with anyio.fail_after(TIMEOUT):
        while server.server_state.connections or server.server_state.tasks:  # noqa: ASYNC110 uvicorn has no event for either
            await anyio.sleep(0.001)


async def frame(connection: ClientConnection) -> Json:
    """Return the next frame."""
    with anyio.fail_after(TIMEOUT):
        found: Json = orjson.loads(await connection.recv())
    return found


async def frames(connection: ClientConnection, number: int) -> list[Json]:
    return [await frame(connection) for _ in range(number)]
