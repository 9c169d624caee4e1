"""The part of a 2025-era session that needs the SDK's machinery: a transport, and the loop that serves it."""

import logging
from collections.abc import Callable
from typing import cast

import anyio
from mcp.server.streamable_http import StreamableHTTPServerTransport
from starlette.types import Message, Receive, Scope, Send

from project_manager.mcp.profiles import ToolProfile
from project_manager.mcp.transport.inflight import Calls, MessageReader, MessageWriter
from project_manager.mcp.transport.sdk import Client, Greeting, McpSdkServer, serve_duplex

_CLOSED = (anyio.ClosedResourceError, anyio.BrokenResourceError)


def is_fault(record: logging.LogRecord) -> bool:
    """A filter for the SDK's log: a request that meets the end of its session is none, and the SDK takes it for one."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, BaseExceptionGroup):
        return error.split(_CLOSED)[1] is not None
    return not isinstance(error, _CLOSED)


class LiveSession:
    """A 2025-era session that needs streams: the SDK's transport and the loop that serves it."""

    def __init__(
        self, server: McpSdkServer, session_id: str, greeting: Greeting, *, idle_seconds: float, calls: Calls
    ) -> None:
        self._server = server
        self._greeting = greeting
        self._calls = calls
        self._id = session_id
        self._transport = StreamableHTTPServerTransport(mcp_session_id=session_id, idle_timeout=idle_seconds)
        self._scope = anyio.CancelScope()
        self._ready = anyio.Event()
        self._client: Client | None = None
        self._cut_stream: Callable[[], None] = lambda: None

    @property
    def ended(self) -> bool:
        return self._transport.is_terminated

    async def run(self, state: object, profile: ToolProfile) -> None:
        """Serves until the session is ended, or nothing was asked for `idle_seconds`."""
        try:
            with self._scope:
                async with self._transport.connect() as (read, write):
                    with self._transport.idle_scope or anyio.CancelScope():
                        await self._serve(cast("MessageReader", read), cast("MessageWriter", write), state, profile)
        finally:
            await self.end()

    async def _serve(self, read: MessageReader, write: MessageWriter, state: object, profile: ToolProfile) -> None:
        await serve_duplex(
            self._server,
            read,
            write,
            state=state,
            greeting=self._greeting,
            session_id=self._id,
            profile=profile,
            calls=self._calls,
            cut=self.cut,
            met=self._met,
        )

    def _met(self, client: Client) -> None:
        self._client = client
        self._ready.set()

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one HTTP request of the session. One that meets the session's end may be refused, but not after it
        was answered: the SDK then begins a second answer."""
        complete = False

        async def send_once(message: Message) -> None:
            nonlocal complete
            if not complete:
                complete = message["type"] == "http.response.body" and not message.get("more_body", False)
                await send(message)

        await self._ready.wait()
        try:
            await self._transport.handle_request(scope, receive, send_once)
        except _CLOSED:
            if not self.ended:
                raise

    async def handle_stream(
        self, scope: Scope, receive: Receive, send: Send, cut: Callable[[], None], opened: Callable[[Client], None]
    ) -> None:
        """Serves the stream of notifications. `cut` ends it even while it cannot be written to; `opened` is called
        when it begins, and not when it is refused."""

        async def noticing(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200 and self._client is not None:
                self._cut_stream = cut
                opened(self._client)
            await send(message)

        await self.handle(scope, receive, noticing)

    def cut(self) -> None:
        """Ends the stream of a client that does not read it."""
        self.close_stream()
        self._cut_stream()

    def close_stream(self) -> None:
        """Ends the stream of notifications (GET); the session goes on."""
        self._transport.close_standalone_sse_stream()

    def stop(self) -> None:
        """Ends the session soon, from code that cannot wait."""
        self._scope.cancel()

    async def end(self) -> None:
        """Ends the session and every stream of it."""
        self._ready.set()
        if not self._transport.is_terminated:
            with anyio.CancelScope(shield=True):
                await self._transport.terminate()
