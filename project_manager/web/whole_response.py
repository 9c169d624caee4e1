"""Whole responses: an ASGI extension for a response with a complete body. It is one message, and one write if small.

The message is `http.response.start` with a `body`, so middleware adds headers to it as to others. Header names are in
lower case. One of them is Content-Length, unless the status has no body, and none is Connection. uvicorn checks each
header with two regular expressions, and sends head and body separately.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from project_manager.web.middleware import Scope, Send
from project_manager.web.streaming import Headers

EXTENSION = "http.response.whole"

_CLOSE = (b"connection", b"close")


class WholeResponseCycle(RequestResponseCycle):
    """uvicorn's request and response. It also sends whole responses."""

    transport: Any  # a CoalescingTransport

    @classmethod
    def adopt(cls, cycle: RequestResponseCycle) -> None:
        """Give a request of uvicorn the methods of this class."""
        cycle.__class__ = cls  # uvicorn has no setting for the class that it creates
        cycle.scope["extensions"] = {EXTENSION: {}}

    async def send(self, message: Any) -> None:
        if "body" not in message or message["type"] != "http.response.start":
            await super().send(message)
            return
        if self.response_started:
            raise RuntimeError("the response has already begun")
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if not self.disconnected:
            self._send_whole(message["status"], message["headers"], message["body"])

    def _send_whole(self, status: int, headers: Headers, body: bytes) -> None:
        head = self._head(status, headers)
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write_response(head, b"" if self.scope["method"] == "HEAD" else body)
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _head(self, status: int, headers: Headers) -> bytes:
        """Return the head. Raises RuntimeError if a header contains a line break."""
        pairs = [*self.default_headers, *headers] if self.keep_alive else [*self.default_headers, *headers, _CLOSE]
        lines = [STATUS_LINE[status]]
        for name, value in pairs:
            lines += (name, b": ", value, b"\r\n")
        lines.append(b"\r\n")
        head = b"".join(lines)
        if not head.count(b"\r") == head.count(b"\n") == len(pairs) + 2:
            raise RuntimeError("a header contains a line break")
        return head


async def send_whole(scope: Scope, send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a response with a complete body, in one message if the server supports it."""
    if EXTENSION in scope.get("extensions", ()):
        await send({"type": "http.response.start", "status": status, "headers": headers, "body": body})
    else:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
