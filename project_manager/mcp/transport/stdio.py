"""The same server over standard input and output, for clients that start it themselves."""

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, cast

import anyio
import anyio.from_thread
import anyio.lowlevel
import orjson
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp.types import ErrorData, JSONRPCError

from project_manager.mcp.server import build_server
from project_manager.mcp.transport import sdk
from project_manager.mcp.transport.exchange import INVALID_REQUEST, PARSE_ERROR
from project_manager.mcp.transport.inflight import (
    Calls,
    Conversation,
    CountingReader,
    CountingWriter,
    Incoming,
    MessageReader,
    MessageWriter,
)
from project_manager.runtime.dispatch import Runtime

_LINGER_SECONDS = 10.0
_DRAIN_SECONDS = 2.0
_NO_MESSAGE = (
    "INVALID_REQUEST: the line is not a JSON-RPC 2.0 message. Send one object per line; `id` is a string or a number, "
    "and `params` is an object. Batches are not supported."
)


async def serve_stdio(runtime: Runtime) -> None:
    """Serves the product on standard input and output; see `serve`."""
    await serve(build_server(runtime))


async def serve_stdio_beside(runtime: Runtime) -> None:
    """Serves the product on standard input and output within a process that also listens and minds the signals."""
    await serve(build_server(runtime), mind_signals=False)


async def serve(server: sdk.McpSdkServer, *, mind_signals: bool = True) -> None:
    """Serves until standard input ends or a signal comes; what was asked by then is still answered.

    Standard output carries nothing but the protocol: stray prints go to standard error from now on.
    """
    conversation = Conversation(Calls())
    lines = _Lines()
    output = _Output(gone=lines.end)
    async with anyio.create_task_group() as tasks:
        if mind_signals:
            tasks.start_soon(_end_at_signal, server, conversation, tasks.cancel_scope)
        async with (
            server.lifespan(server) as state,
            stdio_server(stdin=cast("Any", lines), stdout=cast("Any", output)) as (read, write),
        ):
            lines.start()
            output.start()
            await sdk.serve_duplex(
                server,
                CountingReader(
                    _Refusing(read, write, lines),
                    conversation,
                    linger_seconds=_LINGER_SECONDS,
                    at_end=partial(_at_end, server, output),
                ),
                CountingWriter(write, conversation),
                state=state,
                greeting=sdk.Greeting(),
            )
        tasks.cancel_scope.cancel()


def _at_end(server: sdk.McpSdkServer, output: "_Output") -> None:
    """Nobody will cancel a listen stream any more, and it is not a call to wait for. A client that has gone reads no
    answer either."""
    output.hurry()
    if server.listen is not None:
        server.listen.close()


async def _end_at_signal(server: sdk.McpSdkServer, conversation: Conversation, scope: anyio.CancelScope) -> None:
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
        self._send, self._receive = anyio.create_memory_object_stream[bytes](16)
        self._token = anyio.lowlevel.current_token()
        self.latest = b""
        """The line that was handed on last. The SDK takes the next one only when its message was received."""

    def end(self) -> None:
        """As if the input ended here."""
        self._send.close()

    def start(self) -> None:
        threading.Thread(target=self._read, args=(sys.stdin.fileno(),), name="stdin", daemon=True).start()

    def _read(self, descriptor: int) -> None:
        source = open(descriptor, "rb", closefd=False)  # noqa: SIM115 (never closed: see above)
        try:
            for line in source:
                if line.strip():
                    anyio.from_thread.run(self._send.send, line, token=self._token)
            anyio.from_thread.run_sync(self._send.close, token=self._token)
        except (anyio.RunFinishedError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return

    def __aiter__(self) -> "_Lines":
        return self

    async def __anext__(self) -> str:
        try:
            self.latest = await self._receive.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None
        try:
            return self.latest.decode()
        except UnicodeDecodeError:
            return ""  # as little a message as the line itself, whose texts would be others than were sent


class _Refusing:
    """Answers a line that is no message, which the SDK hands on as the exception that it met, and reads on."""

    def __init__(self, inner: MessageReader, write: MessageWriter, lines: _Lines) -> None:
        self._inner = inner
        self._write = write
        self._lines = lines

    @property
    def last_context(self) -> object:
        """As of the transport."""
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> Incoming:
        while isinstance(item := await self._inner.receive(), Exception):
            await self._write.send(SessionMessage(_refusal(self._lines.latest)))
        return item

    async def aclose(self) -> None:
        await self._inner.aclose()


def _refusal(line: bytes) -> JSONRPCError:
    """The answer to what is no message; under its id where it is a request, so that nobody waits for another one."""
    try:
        said = orjson.loads(line)
    except orjson.JSONDecodeError:
        error = ErrorData(code=PARSE_ERROR, message="PARSE_ERROR: the line is not JSON in UTF-8.")
        return JSONRPCError(jsonrpc="2.0", id=None, error=error)
    asked = said.get("id") if isinstance(said, dict) and "method" in said else None
    known = asked if isinstance(asked, int | str) and not isinstance(asked, bool) else None
    return JSONRPCError(jsonrpc="2.0", id=known, error=ErrorData(code=INVALID_REQUEST, message=_NO_MESSAGE))


class _Output:
    """Standard output, written in a daemon thread: a write that never returns must not keep the process.

    What else is printed goes to standard error, to the end of the process: an exit flushes `sys.stdout`, and would wait
    for a client that does not read. `gone` is called on the event loop when nobody can read any more.
    """

    def __init__(self, gone: Callable[[], None]) -> None:
        self._gone = gone
        self._token = anyio.lowlevel.current_token()
        self._lines: queue.SimpleQueue[tuple[bytes, anyio.Event]] = queue.SimpleQueue()
        self._patience = float("inf")
        self._writing = anyio.CancelScope()
        self._lost = False
        sys.stdout.flush()
        self._descriptor = os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def start(self) -> None:
        threading.Thread(target=self._write, name="stdout", daemon=True).start()

    def hurry(self) -> None:
        """From now on a client that takes nothing for some seconds gets nothing more."""
        self._patience = _DRAIN_SECONDS
        self._writing.deadline = anyio.current_time() + self._patience

    async def write(self, text: str) -> None:
        if self._lost:
            return
        written = anyio.Event()
        with anyio.move_on_after(self._patience) as self._writing:
            self._lines.put((text.encode(), written))
            await written.wait()
        self._lost = self._lost or self._writing.cancelled_caught

    async def flush(self) -> None:
        """Each write is whole when it returns."""

    def _write(self) -> None:
        with suppress(anyio.RunFinishedError):
            while True:
                line, written = self._lines.get()
                if not self._is_taken(line):
                    anyio.from_thread.run_sync(self._lose, token=self._token)
                anyio.from_thread.run_sync(written.set, token=self._token)

    def _is_taken(self, line: bytes) -> bool:
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
        except OSError:
            return False
        return True

    def _lose(self) -> None:
        self._lost = True
        self._gone()
