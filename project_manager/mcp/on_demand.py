"""MCP on demand: a server loads the SDK at its first MCP request, and a process that serves stdio at its start.

The SDK takes a third of the CPU of a start, and a quarter of the memory of a server.
"""

import gc
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from starlette.types import Receive, Scope, Send

from project_manager.mcp.transport.paths import endpoint_paths
from project_manager.runtime.calls import NO_CONNECTION, ClientConnection
from project_manager.runtime.dispatch import Runtime

if TYPE_CHECKING:
    from project_manager.mcp.transport.http import McpHttpTransport


class McpOnDemand:
    """ASGI app of the HTTP transports. Its first request loads them, and other requests wait meanwhile.

    Enter `run()` around the HTTP server. At its shutdown, call `drain`, `wait_inflight` and `terminate` in that order.
    When `failed` is set, the transports cannot be loaded: stop the server, and raise `failure`.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.paths = endpoint_paths(legacy_sse=runtime.settings.mcp_transport == "sse")
        self.failed = anyio.Event()
        self.failure: Exception | None = None
        self._runtime = runtime
        self._requested = anyio.Event()
        self._loaded = anyio.Event()
        self._transport: McpHttpTransport | None = None
        self._is_draining = False
        runtime.metrics.register_gauge("mcp_sessions", lambda: 0.0)  # the transports replace it

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Load and run the transports on demand while the context is open."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._run_transports)
            yield
            tasks.cancel_scope.cancel()

    async def _run_transports(self) -> None:
        await self._requested.wait()
        try:
            build = await anyio.to_thread.run_sync(_import_http)
            transport = build(self._runtime)
        except Exception as error:  # noqa: BLE001 the server reports any error, as at its start
            self.failure = error
            self.failed.set()
            self._loaded.set()
            return
        async with transport.run():
            self._transport = transport
            if self._is_draining:
                transport.drain()
            self._loaded.set()
            await anyio.sleep_forever()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._transport is None:
            self._requested.set()
            await self._loaded.wait()
        if self._transport is not None:
            await self._transport(scope, receive, send)
        else:
            await send({"type": "http.response.start", "status": 503, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})

    def drain(self) -> None:
        """End long polls and notification streams, and open no new streams. Other calls continue."""
        self._is_draining = True
        if self._transport is not None:
            self._transport.drain()

    async def wait_inflight(self, seconds: float) -> None:
        """Wait until all calls in flight are answered, for at most `seconds` after the transports are loaded."""
        if self._requested.is_set():
            await self._loaded.wait()
        if self._transport is not None:
            await self._transport.wait_inflight(seconds)

    async def terminate(self) -> None:
        """End the remaining calls and streams, and complete their responses."""
        if self._transport is not None:
            await self._transport.terminate()


def _import_http() -> "Callable[[Runtime], McpHttpTransport]":
    """Import the SDK, and return the function that builds the HTTP transports of a runtime. Raises ImportError."""
    from project_manager.mcp.server import build_server
    from project_manager.mcp.transport.http import McpHttpTransport

    gc.freeze()  # without a collection, which would stop all threads for 30 ms and find next to nothing

    def build(runtime: Runtime) -> McpHttpTransport:
        limit, legacy_sse = runtime.settings.mcp_max_connections, runtime.settings.mcp_transport == "sse"
        return McpHttpTransport(build_server(runtime), runtime.metrics, limit=limit, legacy_sse=legacy_sse)

    return build


def import_stdio(
    *, handle_signals: bool, connection: ClientConnection = NO_CONNECTION
) -> Callable[[Runtime], Coroutine[Any, Any, None]]:
    """Import the SDK, and return the function that serves a runtime on standard input and output. Raises ImportError.

    `handle_signals` is false in a process that handles them itself. `connection` has the agent and the project that the
    command line fixes.
    """
    from project_manager.mcp.server import build_server
    from project_manager.mcp.transport import stdio

    async def serve(runtime: Runtime) -> None:
        await stdio.serve(build_server(runtime, stdio=connection), handle_signals=handle_signals)

    return serve
