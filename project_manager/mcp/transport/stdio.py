"""MCP on standard input and output, for a client that starts the process itself."""

import os
import select
import selectors
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import anyio.lowlevel
from mcp.server.stdio import stdio_server

from project_manager.mcp.server import McpSdkServer
from project_manager.mcp.transport.duplex import serve_duplex
from project_manager.mcp.transport.exchange import Refused, parse

_LINGER_SECONDS = 3.0
"""Time to answer the calls in flight after the end of the input."""
_DRAIN_SECONDS = 2.0


async def serve(server: McpSdkServer, *, handle_signals: bool = True) -> None:
    """Serve until standard input ends or a signal arrives, and answer the calls in flight.

    `handle_signals` is false in a process that handles them itself. Output of `print` goes to standard error.
    """
    with anyio.CancelScope() as serving:
        output = _Output(gone=serving.cancel)
        lines = _Input(output, at_end=partial(_finish, server, serving))
        async with anyio.create_task_group() as tasks:
            if handle_signals:
                tasks.start_soon(_end_at_signal, server, lines, serving)
            async with server.lifespan(server), stdio_server(lines, output) as (read, write):  # type: ignore[arg-type]
                await serve_duplex(server, read, write)
            tasks.cancel_scope.cancel()


async def _end_at_signal(server: McpSdkServer, lines: "_Input", serving: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            break
    server.drain()
    serving.deadline = anyio.current_time() + _DRAIN_SECONDS
    lines.end()


async def _finish(server: McpSdkServer, serving: anyio.CancelScope) -> None:
    """Answer the calls in flight. Listen streams are closed, because they would not end."""
    serving.deadline = min(serving.deadline, anyio.current_time() + _LINGER_SECONDS)
    if server.listen is not None:
        server.listen.close()
    await server.calls.wait_until_none()


class _Input:
    """The messages of standard input, one per line. The response to a line that is not a message is an error."""

    def __init__(self, output: "_Output", at_end: Callable[[], Awaitable[None]]) -> None:
        self._output = output
        self._at_end = at_end
        self._descriptor = sys.stdin.fileno()
        self._ready = _waiter(anyio.wait_readable, self._descriptor)
        self._rest = b""
        self._ended = False
        self._reading = anyio.CancelScope()

    def end(self) -> None:
        """End the input."""
        self._ended = True
        self._reading.cancel()

    def __aiter__(self) -> "_Input":
        return self

    async def __anext__(self) -> str:
        while (line := await self._line()) is not None:
            if line.strip():
                try:
                    parse(line, "line")
                    return line.decode()
                except Refused as refused:
                    await self._output.write(refused.body.decode() + "\n")
        await self._at_end()
        raise StopAsyncIteration

    async def _line(self) -> bytes | None:
        await anyio.lowlevel.checkpoint()  # until the dispatcher counts the previous message
        while b"\n" not in self._rest and not self._ended:
            with anyio.CancelScope() as self._reading:
                await self._ready()
                chunk = os.read(self._descriptor, 65536)
                self._ended = not chunk
                self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return None if self._ended and not line and not self._rest else line


class _Output:
    """Standard output. `gone` is called when the client has closed it."""

    def __init__(self, gone: Callable[[], None]) -> None:
        self._gone = gone
        self._writing = anyio.Lock()
        sys.stdout.flush()
        self._descriptor = os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        self._ready = _waiter(anyio.wait_writable, self._descriptor)

    async def write(self, text: str) -> None:
        """Write the text without blocking: a pipe that is ready takes PIPE_BUF bytes."""
        data = text.encode()
        try:
            async with self._writing:
                while data:
                    await self._ready()
                    data = data[os.write(self._descriptor, data[: select.PIPE_BUF]) :]
        except OSError:
            self._gone()

    async def flush(self) -> None:
        """Do nothing, because `write` has no buffer."""


def _waiter(wait: Callable[[int], Awaitable[None]], descriptor: int) -> Callable[[], Awaitable[None]]:
    """Return a function that waits until the descriptor is ready. A regular file always is."""
    with selectors.DefaultSelector() as selector:
        try:
            selector.register(descriptor, selectors.EVENT_READ)
        except PermissionError:
            return anyio.lowlevel.checkpoint
    return partial(wait, descriptor)
