"""The same server over standard input and output, for clients that start it themselves."""

import signal
import sys
import threading
from functools import partial
from typing import Any, cast

import anyio
import anyio.from_thread
import anyio.lowlevel
from mcp.server.stdio import stdio_server

from project_manager.mcp import sdk
from project_manager.mcp.inflight import Calls, Conversation, CountingReader, CountingWriter
from project_manager.mcp.server import build_server
from project_manager.runtime import Runtime

_LINGER_SECONDS = 10.0
_DRAIN_SECONDS = 2.0


async def serve_stdio(runtime: Runtime) -> None:
    """Serves the product on standard input and output; see `serve`."""
    await serve(build_server(runtime))


async def serve_stdio_beside(runtime: Runtime) -> None:
    """Serves the product on standard input and output within a process that also listens and minds the signals."""
    await serve(build_server(runtime), mind_signals=False)


async def serve(server: sdk.DoorServer, *, mind_signals: bool = True) -> None:
    """Serves until standard input ends or a signal comes; what was asked by then is still answered.

    Standard output carries nothing but the protocol: stray prints go to standard error meanwhile.
    """
    conversation = Conversation(Calls())
    lines = _Lines()
    async with anyio.create_task_group() as tasks:
        if mind_signals:
            tasks.start_soon(_end_at_signal, server, conversation, tasks.cancel_scope)
        async with server.lifespan(server) as state, stdio_server(stdin=cast("Any", lines)) as (read, write):
            lines.start()
            await sdk.serve_duplex(
                server,
                CountingReader(
                    read, conversation, linger_seconds=_LINGER_SECONDS, at_end=partial(_end_listening, server)
                ),
                CountingWriter(write, conversation),
                state=state,
                greeting=sdk.Greeting(),
            )
        tasks.cancel_scope.cancel()


def _end_listening(server: sdk.DoorServer) -> None:
    """Nobody will cancel a listen stream any more, and it is not a call to wait for."""
    if server.listen is not None:
        server.listen.close()


async def _end_at_signal(server: sdk.DoorServer, conversation: Conversation, scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            break
    server.draining.set()
    await conversation.wait_until_settled(_DRAIN_SECONDS)
    scope.cancel()


class _Lines:
    """Lines of standard input, read in a daemon thread: a read that never returns must not keep the process.

    The thread reads a file object of its own, because the interpreter closes `sys.stdin` at its end and would
    wait for the lock that the read holds.
    """

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[str](16)
        self._token = anyio.lowlevel.current_token()

    def start(self) -> None:
        threading.Thread(target=self._read, args=(sys.stdin.fileno(),), name="stdin", daemon=True).start()

    def _read(self, descriptor: int) -> None:
        source = open(descriptor, "rb", closefd=False)  # noqa: SIM115 (never closed: see above)
        try:
            for line in source:
                anyio.from_thread.run(self._send.send, line.decode("utf-8", "replace"), token=self._token)
            anyio.from_thread.run_sync(self._send.close, token=self._token)
        except (anyio.RunFinishedError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return

    def __aiter__(self) -> "_Lines":
        return self

    async def __anext__(self) -> str:
        try:
            return await self._receive.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None
