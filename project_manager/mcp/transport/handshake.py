"""The 2025 era over HTTP: sessions by id. Any instance answers for any session, before and after a
restart."""

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial

import anyio
import anyio.abc
from mcp.shared.exceptions import MCPError
from starlette.types import Receive, Scope, Send

from project_manager.mcp.profiles import profile_of
from project_manager.mcp.transport import sdk
from project_manager.mcp.transport.exchange import (
    SERVER_BUSY,
    Exchange,
    Rpc,
    actor_of,
    header,
    parse,
    refuse,
    refuse_message,
    send_empty,
    send_json,
)
from project_manager.mcp.transport.inflight import Calls
from project_manager.mcp.transport.live import LiveSession, is_fault
from project_manager.mcp.transport.quiet import answer_directly, is_quiet
from project_manager.mcp.transport.sessions import NoRoom, Session, SessionGone, Sessions
from project_manager.mcp.transport.streams import Stream

log = logging.getLogger(__name__)

_SESSION = b"mcp-session-id"
_VERSION = sdk.MCP_PROTOCOL_VERSION_HEADER.encode()


class HandshakeEra:
    """POST, GET and DELETE of clients that began with `initialize`."""

    tasks: anyio.abc.TaskGroup

    def __init__(
        self,
        server: sdk.McpSdkServer,
        calls: Calls,
        ending: anyio.Event,
        sessions: Sessions,
        idle_seconds: float,
    ) -> None:
        self._server = server
        self._calls = calls
        self._ending = ending
        self._sessions = sessions
        self._idle_seconds = idle_seconds
        logging.getLogger("mcp.server.streamable_http").addFilter(is_fault)

    async def post(self, scope: Scope, receive: Receive, send: Send, body: bytes) -> None:
        rpc = parse(body)
        with self._calls.one():
            if rpc is None:
                await refuse_message(send, body)
            elif rpc.method == "initialize" and rpc.id is not None:
                await self._initialize(scope, send, rpc, rpc.id)
            else:
                await self._post_to_session(scope, receive, send, body, rpc)

    async def get(self, scope: Scope, receive: Receive, send: Send, stream: Stream) -> None:
        """The stream of notifications of a session. Nothing is kept for replay: it begins with everything that the
        session subscribes to, as if that had just changed."""
        scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"last-event-id"]}
        session = await self._session(scope, send)
        if session is not None:
            with self._sessions.in_use(session), ExitStack() as left:
                exchange = Exchange(receive, send, b"", stream.ending)
                opened = partial(self._opened, session, left)
                await self._live(session).handle_stream(scope, exchange.receive, exchange.send, stream.cut, opened)
                await exchange.finish()

    def _opened(self, session: Session, left: ExitStack, client: sdk.Client) -> None:
        if self._server.streams is not None:
            left.callback(self._server.streams.attach_stream(session.id, session.owner, client))

    async def delete(self, scope: Scope, send: Send) -> None:
        """The client is done: its id is refused from now on."""
        session = await self._session(scope, send)
        if session is None:
            return
        if session.live is not None:
            await session.live.end()
        self._sessions.end(session)
        if self._server.streams is not None:
            await self._server.streams.end_session(session.id, session.owner)
        await send_empty(send, 200)

    def close_streams(self) -> None:
        for session in self._sessions.all():
            if session.live is not None:
                session.live.close_stream()

    async def end_all(self) -> None:
        for session in self._sessions.all():
            if session.live is not None:
                await session.live.end()

    async def _initialize(self, scope: Scope, send: Send, rpc: Rpc, call_id: str | int) -> None:
        connection = sdk.single_connection(sdk.LATEST_HANDSHAKE_VERSION)
        try:
            result = await sdk.answer_here(self._server, {}, connection, scope, call_id, rpc.method, rpc.params)
            session = self._sessions.open(connection, actor_of(scope).id, profile_of(scope))
        except MCPError as error:
            await send_json(send, 200, {"jsonrpc": "2.0", "id": call_id, "error": sdk.error_of(error)})
        except NoRoom:
            await _refuse_session(send)
        else:
            await send_json(send, 200, {"jsonrpc": "2.0", "id": call_id, "result": result}, _of(session))

    async def _post_to_session(self, scope: Scope, receive: Receive, send: Send, body: bytes, rpc: Rpc) -> None:
        session = await self._session(scope, send)
        if session is None:
            return
        with self._sessions.in_use(session):
            if rpc.id is None:
                await self._take_note(scope, receive, send, body, rpc, session)
            elif is_quiet(self._server, rpc):
                await self._answer_here(scope, send, rpc, rpc.id, session)
            else:
                await self._answer_in_stream(scope, receive, send, body, rpc.id, session)

    async def _answer_here(self, scope: Scope, send: Send, rpc: Rpc, call_id: str | int, session: Session) -> None:
        answer: dict[str, object] | bytes = {
            "jsonrpc": "2.0",
            "id": call_id,
            "error": {"code": sdk.REQUEST_CANCELLED, "message": "Request cancelled"},
        }
        version = header(scope, _VERSION) or session.version
        with self._calls.cancellable((session.id, str(call_id))):
            answer = await self._answer_of(scope, rpc, call_id, version)
        await send_json(send, 200, answer, _of(session))

    async def _answer_of(self, scope: Scope, rpc: Rpc, call_id: str | int, version: str) -> dict[str, object] | bytes:
        try:
            sdk.check_params(rpc.method, rpc.params)
            answer = await answer_directly(self._server, scope, version, rpc)
            if answer is not None:
                return answer
            connection = sdk.single_connection(version)
            result = await sdk.answer_here(self._server, {}, connection, scope, call_id, rpc.method, rpc.params)
        except MCPError as error:
            return {"jsonrpc": "2.0", "id": call_id, "error": sdk.error_of(error)}
        return {"jsonrpc": "2.0", "id": call_id, "result": result}

    async def _answer_in_stream(
        self, scope: Scope, receive: Receive, send: Send, body: bytes, call_id: str | int, session: Session
    ) -> None:
        exchange = Exchange(receive, send, body, self._ending)
        try:
            await self._live(session).handle(scope, exchange.receive, exchange.send)
        finally:
            if exchange.abandoned:  # nobody can receive the answer any more, so nothing may be claimed for it
                self._calls.cancel((session.id, str(call_id)))
            await exchange.finish()

    async def _take_note(
        self, scope: Scope, receive: Receive, send: Send, body: bytes, rpc: Rpc, session: Session
    ) -> None:
        """A notification, or the answer to a request of ours."""
        if rpc.method == "notifications/cancelled":
            self._calls.cancel((session.id, str((rpc.params or {}).get("requestId"))))
        if session.live is None or session.live.ended:
            await send_empty(send, 202)
        else:
            exchange = Exchange(receive, send, body, self._ending)
            await session.live.handle(scope, exchange.receive, exchange.send)

    async def _session(self, scope: Scope, send: Send) -> Session | None:
        """The session that the request names; None after a refusal was sent."""
        session_id = header(scope, _SESSION)
        if not session_id:
            await refuse(
                send,
                400 if scope["method"] != "GET" else 405,
                "SESSION_MISSING: the header Mcp-Session-Id is missing. Send the id from the response to `initialize`, "
                "or use protocol version 2026-07-28.",
                headers={} if scope["method"] != "GET" else {"allow": "POST, DELETE"},
            )
            return None
        version = header(scope, _VERSION) or sdk.DEFAULT_NEGOTIATED_VERSION
        try:
            return self._sessions.find(session_id, actor_of(scope).id, version, profile_of(scope))
        except SessionGone:
            await refuse(send, 404, "SESSION_NOT_FOUND: the session has ended. Send `initialize` to start a new one.")
        except NoRoom:
            await _refuse_session(send)
        return None

    def _live(self, session: Session) -> LiveSession:
        live = session.live
        if live is None or live.ended:
            live = LiveSession(
                self._server, session.id, session.greeting, idle_seconds=self._idle_seconds, calls=self._calls
            )
            session.live = live
            self.tasks.start_soon(self._keep_alive, session, live)
        return live

    async def _keep_alive(self, session: Session, live: LiveSession) -> None:
        try:
            await live.run({}, session.profile)
        except Exception:
            log.exception("an MCP session failed", extra={"action": "session_failed"})
        finally:
            if session.live is live:
                session.live = None


def _of(session: Session) -> Mapping[str, str]:
    return {"mcp-session-id": session.id}


async def _refuse_session(send: Send) -> None:
    await refuse(
        send,
        503,
        "CONNECTION_LIMIT: the limit of MCP sessions (MCP_MAX_CONNECTIONS) is reached. Close one, or try again in a "
        "moment. Protocol version 2026-07-28 needs no session.",
        code=SERVER_BUSY,
        headers={"retry-after": "5"},
    )
