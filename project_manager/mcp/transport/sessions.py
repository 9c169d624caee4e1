"""Sessions of protocol versions up to 2025-11-25. Unlike the sessions of the SDK, they continue after a restart."""

import logging
import re
from collections import OrderedDict
from collections.abc import Callable
from math import inf
from typing import Any, Protocol

import anyio
import orjson
from mcp.server.auth.middleware.bearer_auth import AuthorizationContext, authorization_context
from mcp.server.streamable_http import StreamableHTTPServerTransport as Transport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from project_manager.mcp.callers import actor_of
from project_manager.mcp.server import McpSdkServer
from project_manager.mcp.transport.exchange import MAX_BODY, VERSION, Refused, busy, header

SESSION = b"mcp-session-id"
_ID = re.compile(r"[\x21-\x7e]{1,128}")
_ENDED_KEPT = 10_000
_CLOSED = (anyio.ClosedResourceError, anyio.BrokenResourceError)
_JSON = ((b"content-type", b"application/json"), (b"accept", b"application/json, text/event-stream"))


class TransportMetrics(Protocol):
    """Metrics of the HTTP transports."""

    def mcp_session_opened(self) -> None: ...
    def mcp_session_closed(self) -> None: ...
    def register_gauge(self, gauge: str, read: Callable[[], float], /) -> None: ...


class Sessions(StreamableHTTPSessionManager):
    """The SDK's session manager, which also serves the requests of 2026-07-28.

    An unknown id opens a session with that id. So a session continues after a restart, on another instance, and after
    it was closed because it was idle. At the limit, a new session closes the one that was idle for longest.
    """

    def __init__(self, server: McpSdkServer, limit: int, idle_seconds: float, metrics: TransportMetrics) -> None:
        super().__init__(server, session_idle_timeout=idle_seconds, max_request_body_size=MAX_BODY, max_sessions=None)
        logging.getLogger("mcp.server.streamable_http").addFilter(is_fault)
        self._limit = limit
        self._idle_seconds = idle_seconds
        self._metrics = metrics
        self._opening = anyio.Lock()
        self._ended: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._server_instances)

    def check(self, scope: Scope) -> str:
        """Return the session id, and extend its idle deadline. Raises Refused unless the caller can use the session."""
        session_id = header(scope, SESSION)
        if not session_id:
            status, headers = (405, [(b"allow", b"POST, DELETE")]) if scope["method"] == "GET" else (400, [])
            remedy = "Send the id from the response to `initialize`, or use protocol version 2026-07-28."
            raise Refused(status, f"SESSION_MISSING: no header Mcp-Session-Id. {remedy}", headers=headers)
        owner = self._session_owners.get(session_id)
        of_another = owner is not None and owner["client_id"] != actor_of(scope).id
        if session_id in self._ended or of_another or not _ID.fullmatch(session_id):
            raise Refused(404, "SESSION_NOT_FOUND: the session has ended. Send `initialize` to start a new one.")
        idle = self._server_instances[session_id].idle_scope if owner is not None else None
        until = anyio.current_time() + self._idle_seconds
        if idle is not None and idle.deadline < until - self._idle_seconds / 10:
            idle.deadline = until  # the transport does not see the calls on the direct path
        return session_id

    async def end(self, session_id: str) -> None:
        """End a session. This process then refuses the ids of the last `_ENDED_KEPT` ended sessions."""
        self._ended[session_id] = None
        if len(self._ended) > _ENDED_KEPT:
            self._ended.popitem(last=False)
        if session_id in self._server_instances:
            await self._discard_session(session_id, self._server_instances[session_id])

    async def cancel(self, scope: Scope, request_id: str | int) -> None:
        """Cancel a call after its client has disconnected. Otherwise it would continue, and could claim a task."""
        if header(scope, SESSION) in self._server_instances:
            await self.handle_request(scope, _notification("cancelled", requestId=request_id), _discard)

    async def _handle_stateful_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        session_id = Headers(scope=scope).get(SESSION.decode(), "")
        if session_id not in self._server_instances:
            async with self._opening:
                if session_id not in self._server_instances:  # another request can have opened it meanwhile
                    await self._make_room()
                    if session_id:
                        await self._continue(session_id, scope)
        try:
            await super()._handle_stateful_request(scope, receive, send)
        except _CLOSED:
            if session_id in self._server_instances:  # otherwise the session has ended meanwhile
                raise

    async def _make_room(self) -> None:
        """At the limit, close the session that was idle for longest. Raises Refused if all sessions are in use."""
        while len(self) >= self._limit:
            ends = {one.idle_scope.deadline: name for name, one in self._server_instances.items() if one.idle_scope}
            first = min(ends, default=inf)
            if first == inf:  # a session with an open request or stream does not end
                raise busy(
                    "CONNECTION_LIMIT: the limit of MCP sessions (MCP_MAX_CONNECTIONS) is reached. Close one, or try "
                    "again in a moment. Protocol version 2026-07-28 needs no session."
                )
            await self._discard_session(ends[first], self._server_instances[ends[first]])

    async def _continue(self, session_id: str, scope: Scope) -> None:
        """Open a session of another instance or from before a restart. A notification replaces its handshake."""
        transport = Transport(session_id, idle_timeout=self._idle_seconds)
        headers = [*_JSON, *(pair for pair in scope["headers"] if pair[0] in (SESSION, VERSION))]
        opening = {**scope, "method": "POST", "headers": headers}
        await self._serve_opening_request(transport, opening, _notification("initialized"), _discard)
        if not transport.is_terminated:
            self._session_owners[session_id] = authorization_context(scope["user"])
            self._server_instances[session_id] = transport
            self._metrics.mcp_session_opened()

    def _admit_session(self, requestor: AuthorizationContext | None) -> Transport | None:
        self._metrics.mcp_session_opened()
        return super()._admit_session(requestor)

    async def _discard_session(self, session_id: str, transport: Transport) -> None:
        if session_id in self._server_instances:
            self._metrics.mcp_session_closed()
        await super()._discard_session(session_id, transport)


def _notification(name: str, **params: object) -> Receive:
    """Return an ASGI `receive` for a POST request with this notification."""
    body = orjson.dumps({"jsonrpc": "2.0", "method": f"notifications/{name}", "params": params})

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _discard(_message: Message) -> None: ...


def is_fault(record: logging.LogRecord) -> bool:
    """Return whether to keep a record of the SDK's log. It drops errors of requests in ended sessions."""
    error: Any = record.exc_info[1] if record.exc_info else None
    if isinstance(error, BaseExceptionGroup):
        return error.split(_CLOSED)[1] is not None
    return not isinstance(error, _CLOSED)
