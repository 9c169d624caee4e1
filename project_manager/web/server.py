"""The HTTP server: uvicorn with listeners and connections of this project."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import anyio
import uvicorn

from project_manager.web.connections import Connections
from project_manager.web.http_protocol import CoalescingHttpProtocol
from project_manager.web.listener import Listener

LISTENERS = ("api", "mcp")
"""Names of the listeners in metrics, in the order of the sockets."""


class Server(uvicorn.Server):
    """uvicorn server that accepts connections within limits. `listening` is set when it listens."""

    def __init__(self, configuration: uvicorn.Config, connections: Connections) -> None:
        super().__init__(configuration)
        self.listening = anyio.Event()
        self._connections = connections

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on the bound sockets. The first one is the socket of the API."""
        await self.lifespan.startup()
        listeners = [
            Listener(bound, partial(self._protocol, name), self._connections)
            for name, bound in zip(LISTENERS, sockets or (), strict=False)
        ]
        self.servers = cast(Any, listeners)
        for listener in listeners:
            listener.start()
        self.started = True
        self.listening.set()

    def _protocol(self, listener: str) -> CoalescingHttpProtocol:
        return CoalescingHttpProtocol(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            limits=self._connections,
            listener=listener,
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers, because the process handles signals."""
        yield
