"""One server object on streamable HTTP (`/mcp`) and legacy SSE (`/sse`, `/messages/`), for every
protocol era at once.

Whoever mounts `McpHttpTransport.app` puts the gate (host, origin, token) in front of it; requests that arrive
here have passed it.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha256
from typing import Protocol

import anyio
import anyio.abc
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.sse import SseServerTransport
from starlette.types import ASGIApp, Receive, Scope, Send

from project_manager.domain.errors import Unauthorized
from project_manager.mcp.profiles import profile_of
from project_manager.mcp.transport import sdk
from project_manager.mcp.transport.affinity import naming_session
from project_manager.mcp.transport.exchange import (
    ClientGone,
    Exchange,
    TooBig,
    actor_of,
    header,
    read_body,
    refuse,
    refuse_stream,
    secret_of,
    send_empty,
)
from project_manager.mcp.transport.handshake import HandshakeEra
from project_manager.mcp.transport.inflight import Calls, Conversation, CountingReader, CountingWriter
from project_manager.mcp.transport.modern import ModernEra
from project_manager.mcp.transport.sessions import Sessions
from project_manager.mcp.transport.streams import Stream

Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY = 1024 * 1024
IDLE_SECONDS = 1800.0
_LAST_WORDS_SECONDS = 0.5
_SSE_VERSION = "2025-03-26"
"""What a client of the legacy SSE transport is taken to speak until it says otherwise."""


class McpTransportSettings(Protocol):
    """The settings that the door reads."""

    @property
    def mcp_max_connections(self) -> int: ...
    @property
    def mcp_transport(self) -> str: ...


class McpTransportMetrics(Protocol):
    """What the door reports."""

    def mcp_session_opened(self) -> None: ...
    def mcp_session_closed(self) -> None: ...
    def register_gauge(self, gauge: str, read: Callable[[], float], /) -> None: ...


class McpHttpTransport:
    """The HTTP side of the MCP door. Enter `run()` once around the HTTP server; call `drain`,
    `wait_inflight` and
    `terminate` in that order when it stops."""

    def __init__(
        self,
        server: sdk.McpSdkServer,
        settings: McpTransportSettings,
        metrics: McpTransportMetrics,
        *,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        for noisy in ("mcp", "sse_starlette"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        self._server = server
        self._limit = settings.mcp_max_connections
        self._idle_seconds = idle_seconds
        self._calls = Calls()
        self._streams: set[Stream] = set()
        self._no_streams = anyio.Event()
        self._ending = anyio.Event()
        self._sse_scopes: set[anyio.CancelScope] = set()
        self._sessions = Sessions(self._limit, idle_seconds, metrics.mcp_session_opened, metrics.mcp_session_closed)
        self._single = sdk.SingleExchange(server, MAX_BODY)
        self._sse = SseServerTransport("/messages/", max_request_body_size=MAX_BODY)
        self._modern = ModernEra(server, self._single, self._calls, self._ending, self._stream)
        self._handshake = HandshakeEra(server, self._calls, self._ending, self._sessions, idle_seconds)
        self._routes = self._routes_of(settings.mcp_transport)
        metrics.register_gauge("mcp_sessions", lambda: float(len(self._sessions) + len(self._sse_scopes)))

    def _routes_of(self, transport: str) -> dict[str, Endpoint]:
        routes: dict[str, Endpoint] = {"/mcp": self._mcp}
        if transport == "sse":
            routes |= {"/sse": self._sse_or_mcp, "/messages": self._messages}
        return routes

    @property
    def paths(self) -> frozenset[str]:
        """The paths that this door answers, each also with a slash at its end."""
        return frozenset(self._routes)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Keeps the sessions alive. Leave it only after the HTTP server has stopped."""
        async with self._single.run(), anyio.create_task_group() as tasks:
            self._handshake.tasks = tasks
            tasks.start_soon(self._reap)
            try:
                yield
            finally:
                await self.terminate()
                tasks.cancel_scope.cancel()

    async def _reap(self) -> None:
        while True:
            await anyio.sleep(min(60.0, self._idle_seconds / 2))
            self._sessions.reap()

    def drain(self) -> None:
        """Ends what only listens and takes no new stream. Calls go on, and so do the SSE connections
        that answer them."""
        self._server.draining.set()
        if self._server.listen is not None:
            self._server.listen.close()
        self._handshake.close_streams()

    async def wait_inflight(self, seconds: float) -> None:
        """Waits until every call in flight has been answered, at most that long."""
        await self._calls.wait_until_none(seconds)

    async def terminate(self) -> None:
        """Ends every session, SSE connection and call that is left, each with a proper end of its
        response."""
        self._server.draining.set()
        self._ending.set()
        await self._handshake.end_all()
        for stream in list(self._streams):
            stream.end()
        with anyio.move_on_after(_LAST_WORDS_SECONDS):
            while self._streams:
                await self._no_streams.wait()
        for stream in list(self._streams):  # their clients do not read, so that no proper end reaches them
            stream.cut()

    @property
    def streams(self) -> int:
        """Streams that are open: notifications, legacy SSE, subscriptions."""
        return len(self._streams)

    @property
    def inflight(self) -> int:
        return self._calls.count

    @property
    def app(self) -> ASGIApp:
        """The ASGI app."""
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        root: str = scope.get("root_path", "")
        path: str = scope["path"].removeprefix(root)
        endpoint = self._routes.get(path.rstrip("/"))
        if endpoint is None:
            await refuse(send, 404, f"ROUTE_NOT_FOUND: unknown path. MCP is at {root}/mcp.")
            return
        if scope["method"] == "OPTIONS":  # the gate lets it pass without a token
            allowed = "POST" if endpoint == self._messages else "GET, POST, DELETE"
            await send_empty(send, 405, {"allow": allowed})
            return
        try:
            actor_of(scope)
            await endpoint(scope, receive, send)
        except Unauthorized as error:
            await refuse(send, 401, f"UNAUTHORIZED: {error.message}.", headers={"www-authenticate": "Bearer"})
        except ClientGone:
            return

    @contextmanager
    def _stream(self, scope: Scope) -> Iterator[Stream | None]:
        """Counts an open stream, which ends when its token is revoked; None when no more may be opened."""
        if self._server.draining.is_set() or len(self._streams) >= self._limit:
            yield None
            return
        with anyio.CancelScope() as whole:
            stream = Stream(whole)
            self._streams.add(stream)
            try:
                with self._server.registered(scope, stream.end):
                    yield stream
            finally:
                self._streams.discard(stream)
                if not self._streams:
                    self._no_streams.set()
                    self._no_streams = anyio.Event()

    async def _mcp(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            await self._post(scope, receive, send)
        elif scope["method"] == "GET" and self._modern.speaks(scope) is False:
            with self._stream(scope) as stream:
                await (refuse_stream(send) if stream is None else self._handshake.get(scope, receive, send, stream))
        elif scope["method"] == "DELETE" and self._modern.speaks(scope) is False:
            await self._handshake.delete(scope, send)
        else:
            await send_empty(send, 405, {"allow": "POST" if self._modern.speaks(scope) else "GET, POST, DELETE"})

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        if header(scope, b"content-type").partition(";")[0].strip().lower() != "application/json":
            await refuse(send, 415, "UNSUPPORTED_MEDIA_TYPE: post JSON with Content-Type: application/json.")
            return
        try:
            body = await read_body(scope, receive, MAX_BODY)
        except TooBig:
            await refuse(send, 413, "BODY_TOO_LARGE: the request body is larger than 1 MiB. Send a smaller one.")
            return
        era = self._modern if self._modern.speaks(scope) else self._handshake
        await era.post(_without_trailing_blanks(scope), receive, send, body)

    async def _sse_or_mcp(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Legacy SSE for a plain GET; everything else is a streamable client that was given this address."""
        if scope["method"] == "GET" and not header(scope, b"mcp-session-id"):
            with self._stream(scope) as stream:
                await (refuse_stream(send) if stream is None else self._serve_sse(scope, receive, send, stream))
        else:
            await self._mcp(scope, receive, send)

    async def _serve_sse(self, scope: Scope, receive: Receive, send: Send, stream: Stream) -> None:
        conversation = Conversation(self._calls)
        exchange = Exchange(receive, send, b"", stream.ending)
        owned = _owned(scope)
        async with self._sse.connect_sse(owned, receive, naming_session(exchange.send)) as (read, write):
            with anyio.CancelScope() as inner:  # inner, so that its end closes the streams and the response completes
                stream.ends_with(inner.cancel)
                self._sse_scopes.add(inner)
                try:
                    await sdk.serve_duplex(
                        self._server,
                        CountingReader(read, conversation),
                        CountingWriter(write, conversation),
                        state={},
                        greeting=sdk.Greeting(_SSE_VERSION, greeted=True),
                        profile=profile_of(scope),
                        cut=stream.cut,
                    )
                finally:
                    self._sse_scopes.discard(inner)
                    conversation.close()
        await exchange.finish()

    async def _messages(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._calls.one():
            await self._sse.handle_post_message(_owned(scope), receive, send)


def _owned(scope: Scope) -> Scope:
    """Name the token of the request as its user: the SDK binds a session to the user that opened it."""
    digest = sha256((secret_of(scope) or "").encode()).hexdigest()
    return {**scope, "user": AuthenticatedUser(AccessToken(token="", client_id=digest, scopes=[]))}


def _without_trailing_blanks(scope: Scope) -> Scope:
    """Header values may be followed by blanks; one HTTP parser leaves them in, and the SDK compares byte
    for byte."""
    headers = scope["headers"]
    if any(key.startswith(b"mcp-") and value != value.strip() for key, value in headers):
        return {
            **scope,
            "headers": [(key, value.strip() if key.startswith(b"mcp-") else value) for key, value in headers],
        }
    return scope
