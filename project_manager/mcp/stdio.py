"""The same server over standard input and output, for clients that start it themselves."""

import sys
import threading
from typing import Any, cast

import anyio
import anyio.from_thread
import anyio.lowlevel
from mcp.server.stdio import stdio_server

from project_manager.mcp import sdk
from project_manager.mcp.calls import Calls, Conversation, CountingReader, CountingWriter

_LINGER_SECONDS = 10.0


async def serve(server: sdk.DoorServer) -> None:
    """Serves until standard input ends; what was asked by then is still answered.

    Standard output carries nothing but the protocol: stray prints go to standard error meanwhile.
    """
    conversation = Conversation(Calls())
    lines = _Lines()
    lines.start()
    async with server.lifespan(server) as state, stdio_server(stdin=cast("Any", lines)) as (read, write):
        await sdk.serve_duplex(
            server,
            CountingReader(read, conversation, linger_seconds=_LINGER_SECONDS),
            CountingWriter(write, conversation),
            state=state,
            greeting=sdk.Greeting(),
        )


class _Lines:
    """Lines of standard input, read in a daemon thread: a read that never returns must not keep the process from ending."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[str](16)
        self._token = anyio.lowlevel.current_token()

    def start(self) -> None:
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    def _read(self) -> None:
        try:
            for line in sys.stdin.buffer:
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
