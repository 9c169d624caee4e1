"""Serve the fixtures on the MCP interface of the product.

`python -m tests.conformance.serve PORT` prints `ready PORT`.
"""

import socket
import sys
import warnings

import anyio
import uvicorn
from mcp.shared.exceptions import MCPDeprecationWarning

from project_manager.config.settings import load
from project_manager.domain.actors import LOCAL, Actor
from project_manager.mcp.transport.http import McpHttpTransport
from project_manager.web.errors import send_error
from project_manager.web.middleware import AuthMiddleware
from tests.conformance.fixtures import build


class NoMetrics:
    def mcp_session_opened(self) -> None: ...
    def mcp_session_closed(self) -> None: ...
    def register_gauge(self, gauge: str, read: object) -> None: ...


async def local_actor(_secret: str | None) -> Actor:
    return LOCAL


async def serve(port: int) -> None:
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    settings = load({}, {}).settings
    transport = McpHttpTransport(build(), NoMetrics(), limit=1000, legacy_sse=True)
    gate = AuthMiddleware(transport, settings, local_actor, send_error)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        config = uvicorn.Config(gate, http="httptools", lifespan="off", log_config=None, access_log=False)
        async with transport.run():
            print("ready", listener.getsockname()[1], flush=True)
            await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    anyio.run(serve, int(sys.argv[1]) if len(sys.argv) > 1 else 0)
