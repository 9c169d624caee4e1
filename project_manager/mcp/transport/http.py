"""MCP over HTTP: `/mcp`, `/sse` and `/messages/`. The web layer has checked host, origin and token."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from math import inf

import anyio
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from project_manager.domain.errors import Unauthorized
from project_manager.mcp.callers import actor_of, owned
from project_manager.mcp.server import McpSdkServer
from project_manager.mcp.transport.direct import DirectCalls
from project_manager.mcp.transport.exchange import VERSION, Exchange, Refused, busy, header, read, respond
from project_manager.mcp.transport.paths import MCP, MESSAGES, SSE, endpoint_paths
from project_manager.mcp.transport.sessions import SESSION, Sessions, TransportMetrics
from project_manager.mcp.transport.sse import SseConnections

_NOTIFICATIONS, _LISTEN, _SSE = "notifications", "listen", "sse"
"""Kinds of streams."""


class McpHttpTransport:
    """ASGI app of all HTTP transports of one server. `limit` applies to sessions and to streams.

    A session ends after `idle_seconds` without use, a stream when its client reads no data for `stuck_seconds`. Enter
    `run()` around the HTTP server. At its shutdown, call `drain`, `wait_inflight` and `terminate` in that order.
    """

    def __init__(
        self,
        server: McpSdkServer,
        metrics: TransportMetrics,
        *,
        limit: int,
        legacy_sse: bool,
        idle_seconds: float = 1800.0,
        stuck_seconds: float = 10.0,
    ) -> None:
        for noisy in ("mcp", "sse_starlette"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        self._server = server
        self._limit = limit
        self._stuck_seconds = stuck_seconds
        self._ending = anyio.Event()
        self.streams: dict[anyio.Event, str] = {}  # the event that ends the stream, and its kind
        self._sessions = Sessions(server, limit, idle_seconds, metrics)
        self._direct = DirectCalls(server)
        self._sse = SseConnections(server, stuck_seconds)
        endpoints: dict[str, ASGIApp] = {MCP: self._mcp, SSE: self._sse_or_mcp, MESSAGES: self._sse.post}
        self._routes = {path: endpoints[path] for path in endpoint_paths(legacy_sse=legacy_sse)}
        streams = self.streams.values()
        metrics.register_gauge("mcp_sessions", lambda: float(len(self._sessions) + [*streams].count(_SSE)))

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Run the sessions while the context is open. Leave it after the HTTP server has stopped."""
        async with self._sessions.run():
            try:
                yield
            finally:
                await self.terminate()

    def drain(self) -> None:
        """End long polls and notification streams, and open no new streams. Other calls continue."""
        self._server.drain()
        for ending, kind in self.streams.items():
            if kind == _NOTIFICATIONS:
                ending.set()

    async def wait_inflight(self, seconds: float) -> None:
        """Wait until all calls in flight are answered, for at most `seconds`."""
        with anyio.move_on_after(seconds):
            await self._server.calls.wait_until_none()

    async def terminate(self) -> None:
        """End the remaining calls and streams, and complete their responses."""
        self._server.draining.set()
        for ending in (self._ending, *self.streams):
            ending.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        root: str = scope.get("root_path", "")
        endpoint = self._routes.get(scope["path"].removeprefix(root).rstrip("/"))
        try:
            if endpoint is None:
                raise Refused(404, f"ROUTE_NOT_FOUND: unknown path. MCP is at {root}/mcp.")
            if scope["method"] == "OPTIONS":  # allowed without a token
                raise _not_allowed(b"POST" if endpoint == self._sse.post else b"GET, POST, DELETE")
            actor_of(scope)
            await endpoint(scope, receive, send)
        except Refused as refused:
            await refused.respond(send)
        except Unauthorized as error:
            challenge = [(b"www-authenticate", b"Bearer")]
            await Refused(401, f"UNAUTHORIZED: {error.message}.", headers=challenge).respond(send)
        except ClientDisconnect:
            return

    @contextmanager
    def _stream(self, scope: Scope, kind: str) -> Iterator[anyio.Event]:
        """Count an open stream. Yield the event that ends it. A revoked token sets the event too. Raises Refused."""
        if self._server.draining.is_set():
            raise busy("SHUTTING_DOWN: the server is shutting down. Open the stream again in a moment.")
        if len(self.streams) >= self._limit:
            raise busy(
                "CONNECTION_LIMIT: the limit of MCP streams (MCP_MAX_CONNECTIONS) is reached. Try again in a moment; "
                "calls without a stream still work."
            )
        ending = anyio.Event()
        self.streams[ending] = kind
        try:
            with self._server.register_stream(scope, ending.set):
                yield ending
        finally:
            del self.streams[ending]

    async def _sse_or_mcp(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve legacy SSE for a GET without a session id, and streamable HTTP for all other requests at `/sse`."""
        if scope["method"] == "GET" and not header(scope, SESSION):
            with self._stream(scope, _SSE) as ending:
                await self._sse.serve(scope, receive, send, ending)
        else:
            await self._mcp(scope, receive, send)

    async def _mcp(self, scope: Scope, receive: Receive, send: Send) -> None:
        version = header(scope, VERSION)
        modern = bool(version) and version not in HANDSHAKE_PROTOCOL_VERSIONS  # the SDK refuses unknown versions
        if scope["method"] == "POST":
            await (self._post_modern if modern else self._post)(scope, receive, send)
        elif scope["method"] == "GET" and not modern:
            self._sessions.check(scope)
            with self._stream(scope, _NOTIFICATIONS) as ending:
                await self._pass_on(_cleaned(scope, b"last-event-id"), receive, send, b"", ending)
        elif scope["method"] == "DELETE" and not modern:
            await self._sessions.end(self._sessions.check(scope))
            await respond(send, 200)
        else:
            raise _not_allowed(b"POST" if modern else b"GET, POST, DELETE")

    async def _post_modern(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of protocol version 2026-07-28, which belongs to no session."""
        body, rpc = await read(scope, receive)
        if rpc.method == "subscriptions/listen":
            with self._stream(scope, _LISTEN) as ending:
                await self._pass_on(_cleaned(scope), receive, send, body, ending)
            return
        with self._server.calls.one():
            if self._direct.accepts(scope, rpc, modern=True):
                await self._direct.respond(scope, send, rpc, "")
            else:
                await self._pass_on(_cleaned(scope), receive, send, body)

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a message of a session, with a protocol version up to 2025-11-25."""
        body, rpc = await read(scope, receive)
        with self._server.calls.one():
            if rpc.method == "initialize" and rpc.id is not None:
                await self._pass_on(_cleaned(scope, SESSION), receive, send, body)
                return
            session_id = self._sessions.check(scope)
            if self._direct.accepts(scope, rpc, modern=False):
                await self._direct.respond(scope, send, rpc, session_id)
                return
            if rpc.method == "notifications/cancelled":
                self._direct.cancel(session_id, rpc.params.get("requestId"))
            abandoned = await self._pass_on(_cleaned(scope), receive, send, body)
            if abandoned and rpc.id is not None:
                await self._sessions.cancel(owned(scope), rpc.id)

    async def _pass_on(
        self, scope: Scope, receive: Receive, send: Send, body: bytes, ending: anyio.Event | None = None
    ) -> bool:
        """Let the SDK answer until `ending`. Return whether the client disconnected before the end of the response."""
        exchange = Exchange(receive, send, body, ending or self._ending, inf if ending is None else self._stuck_seconds)
        try:
            await self._sessions.handle_request(owned(scope), exchange.receive, exchange.send)
            return exchange.abandoned
        finally:
            await exchange.finish()


def _cleaned(scope: Scope, dropped: bytes = b"") -> Scope:
    """Remove the header `dropped`, and blanks around values of MCP headers, which the SDK compares exactly."""
    pairs = [(key, value.strip() if key.startswith(b"mcp-") else value) for key, value in scope["headers"]]
    return {**scope, "headers": [pair for pair in pairs if pair[0] != dropped]}


def _not_allowed(methods: bytes) -> Refused:
    return Refused(405, f"METHOD_NOT_ALLOWED: use {methods.decode()}.", headers=[(b"allow", methods)])
