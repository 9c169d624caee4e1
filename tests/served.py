"""The service on a port of its own in this process, for real clients."""

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

from project_manager.app import Server, _configuration
from project_manager.runtime import Runtime
from project_manager.web.application import api
from project_manager.web.websocket import Updates
from tests.desk import PATIENCE, Json


@dataclass
class Served:
    """A listening service and a client of it. `client` sends no more than it is told to."""

    runtime: Runtime
    port: int
    updates: Updates
    client: httpx.AsyncClient = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """`body` goes as JSON unless it is bytes; header names are written with _ for -."""
        named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        content = body if isinstance(body, bytes) or body is None else json.dumps(body)
        return await self.client.request(method, path, content=content, headers=named)

    async def ok(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        response = await self.send(method, path, body, **headers)
        assert response.is_success, response.text
        return response.json()

    async def refused(self, status: int, method: str, path: str, body: Any = None, **headers: str) -> Json:
        """The error body of a call that must be refused; it is the one shape, whatever went wrong."""
        response = await self.send(method, path, body, **headers)
        assert response.status_code == status, response.text
        error: Json = response.json()
        assert list(error) == ["code", "message", "hint", "details", "request_id"]
        assert error["message"]
        assert error["request_id"] == response.headers["x-request-id"]
        return error

    def listen(self, query: str = "", **more: Any) -> connect:
        """A WebSocket for events; an async context manager."""
        return connect(f"ws://127.0.0.1:{self.port}/ws/updates?{query}", proxy=None, **more)


@asynccontextmanager
async def serving(runtime: Runtime) -> AsyncIterator[Served]:
    """Serves the API port's application; leaving the block fails when it does not stop in time."""
    updates = Updates(runtime)
    server = Server(_configuration(runtime.settings, api(runtime, updates, None, ())))
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: server.serve(sockets=[bound]))
            with anyio.fail_after(PATIENCE):
                await server.up.wait()
            base = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=base, timeout=PATIENCE, trust_env=False) as client:
                yield Served(runtime, port, updates, client)
            runtime.hub.close()
            server.should_exit = True


async def frame(connection: ClientConnection) -> Json:
    """The next frame."""
    with anyio.fail_after(PATIENCE):
        found: Json = orjson.loads(await connection.recv())
    return found


async def frames(connection: ClientConnection, number: int) -> list[Json]:
    return [await frame(connection) for _ in range(number)]
