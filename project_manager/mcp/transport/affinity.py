"""Lets a load balancer lead the message posts of a legacy SSE session to the instance that holds its stream."""

import re

from starlette.types import Message, Send

SESSION_HEADER = b"x-mcp-sse-session"
_SESSION_ID = re.compile(rb"session_id=([0-9a-f]+)")


def naming_session(send: Send) -> Send:
    """`send` for an SSE stream, with the session's id also in a header of the response: a proxy reads no bodies.

    The id is known with the stream's first event, so the response's start waits for that.
    """
    start: Message | None = None

    async def named(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start" and message["status"] == 200:
            start = message
            return
        if start is not None:
            found = _SESSION_ID.search(message.get("body", b""))
            pairs = [(SESSION_HEADER, found[1])] if found else []
            await send({**start, "headers": [*start["headers"], *pairs]})
            start = None
        await send(message)

    return named
