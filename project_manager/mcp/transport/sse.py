"""Legacy HTTP with SSE: a stream of messages to the client, and a POST request for each message from it."""

import re

import anyio
import anyio.lowlevel
from mcp.server.sse import SseServerTransport
from starlette.types import Message, Receive, Scope, Send

from project_manager.mcp.callers import owned
from project_manager.mcp.server import McpSdkServer
from project_manager.mcp.transport.duplex import serve_duplex
from project_manager.mcp.transport.exchange import LAST_WRITE_SECONDS, MAX_BODY, Exchange

_SESSION_ID = re.compile(rb"session_id=([0-9a-f]+)")


class SseConnections:
    """The connections of legacy SSE clients."""

    def __init__(self, server: McpSdkServer, stuck_seconds: float) -> None:
        self._server = server
        self._stuck_seconds = stuck_seconds
        self._transport = SseServerTransport("/messages/", max_request_body_size=MAX_BODY)

    async def serve(self, scope: Scope, receive: Receive, send: Send, ending: anyio.Event) -> None:
        """Serve a connection until its client leaves, or until `ending` is set."""
        cut = anyio.Event()
        exchange = Exchange(receive, send, b"", cut, self._stuck_seconds)
        sending = with_session_id(exchange.send, scope)
        async with anyio.create_task_group() as tasks:
            async with self._transport.connect_sse(owned(scope), exchange.receive, sending) as (read, write):
                with anyio.CancelScope() as serving:
                    tasks.start_soon(_end, ending, serving, cut)
                    await serve_duplex(self._server, read, write)
            tasks.cancel_scope.cancel()
        await exchange.finish()

    async def post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receive a message of a client."""
        with self._server.calls.one():
            await self._transport.handle_post_message(owned(scope), receive, send)
            await anyio.lowlevel.checkpoint()  # until the dispatcher counts the message


async def _end(ending: anyio.Event, serving: anyio.CancelScope, cut: anyio.Event) -> None:
    """End the connection after its last message. Disconnect a client that does not read that message."""
    await ending.wait()
    serving.cancel()
    await anyio.sleep(LAST_WRITE_SECONDS)
    cut.set()


def with_session_id(send: Send, scope: Scope) -> Send:
    """Add the id to the response as a header for load balancers, and the query to the address for messages.

    The start of the response waits for the first event, because the SDK announces the id there.
    """
    query: bytes = scope.get("query_string", b"")
    start: Message | None = None

    async def sending(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start" and message["status"] == 200:
            start = message
            return
        if start is not None:
            if found := _SESSION_ID.search(message.get("body", b"")):
                start = {**start, "headers": [*start["headers"], (b"x-mcp-sse-session", found[1])]}
                message = {**message, "body": message["body"].replace(found[0], found[0] + (query and b"&" + query))}
            await send(start)
            start = None
        await send(message)

    return sending
