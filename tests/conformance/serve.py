"""Serves the fixtures on the product's door. `python -m tests.conformance.serve PORT`; prints `ready
PORT`."""

import socket
import sys
import warnings
from dataclasses import dataclass

import anyio
import uvicorn
from mcp.shared.exceptions import MCPDeprecationWarning
from starlette.types import ASGIApp, Receive, Scope, Send

from project_manager.mcp.transports import McpDoor
from tests.conformance.fixtures import build


@dataclass(frozen=True)
class DoorSettings:
    mcp_max_connections: int = 1000
    mcp_transport: str = "sse"


class NoMetrics:
    def mcp_session_opened(self) -> None: ...
    def mcp_session_closed(self) -> None: ...
    def watch(self, gauge: str, read: object) -> None: ...


class LoopbackOnly:
    """Refuses requests that name another host or come from another origin, as the product's gate does."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").rpartition(b":")[0]
        origin = headers.get(b"origin", b"http://localhost:1").split(b"//")[-1].rpartition(b":")[0]
        if not {host, origin} <= {b"127.0.0.1", b"localhost"}:
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        await self.app(scope, receive, send)


async def serve(port: int) -> None:
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    door = McpDoor(build(), DoorSettings(), NoMetrics())
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        config = uvicorn.Config(
            LoopbackOnly(door.app), http="httptools", lifespan="off", log_config=None, access_log=False
        )
        async with door.run():
            print("ready", listener.getsockname()[1], flush=True)
            await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    anyio.run(serve, int(sys.argv[1]) if len(sys.argv) > 1 else 0)
