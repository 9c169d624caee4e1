"""HTTP requests and responses of MCP: reading a message, refusing it, and completing the response of an SDK app."""

from collections.abc import Iterable
from contextlib import suppress
from math import inf
from typing import Any, NamedTuple

import anyio
import orjson
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp.types import INVALID_REQUEST, PARSE_ERROR
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

Headers = Iterable[tuple[bytes, bytes]]

VERSION = MCP_PROTOCOL_VERSION_HEADER.encode()
MAX_BODY = 1024 * 1024
_WHOLE = "http.response.whole"
"""The ASGI extension for a response in one message: `http.response.start` with a `body`."""
LAST_WRITE_SECONDS = 0.5
"""Time for the client to read the end of a response."""


class Refused(Exception):
    """A request that is answered with a JSON-RPC error. The message starts with a code."""

    def __init__(
        self, status: int, message: str, code: int = INVALID_REQUEST, headers: Headers = (), call_id: object = None
    ) -> None:
        super().__init__(message)
        self._status = status
        self._headers = headers
        self.body = orjson.dumps({"jsonrpc": "2.0", "id": call_id, "error": {"code": code, "message": message}})

    async def respond(self, send: Send) -> None:
        await respond(send, self._status, self.body, self._headers)


def busy(message: str, retry_after: int = 5) -> Refused:
    """Return a refusal with status 503."""
    return Refused(503, message, -32000, [(b"retry-after", b"%d" % retry_after)])


class Rpc(NamedTuple):
    """A JSON-RPC message. A notification has no id, and the response to a request of the server has no method."""

    method: str
    id: str | int | None
    params: dict[str, Any]


def parse(raw: bytes, unit: str = "body") -> Rpc:
    """Return the message. Raises Refused with the id of the request, if known. `unit` is "body" or "line"."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Refused(400, f"PARSE_ERROR: the {unit} is not JSON in UTF-8.", PARSE_ERROR) from None
    message = body if isinstance(body, dict) else {}  # not with the SDK's models, which cost a tenth of a claim
    method, call_id, params = message.get("method", ""), message.get("id"), message.get("params")
    is_id = isinstance(call_id, str | int) and not isinstance(call_id, bool)
    is_request = bool(method) and (is_id or "id" not in message)
    is_response = "method" not in message and ("result" in message or "error" in message)
    valid = message.get("jsonrpc") == "2.0" and isinstance(method, str) and isinstance(params, dict | None)
    if not valid or not (is_request or is_response):
        raise Refused(
            400,
            f"INVALID_REQUEST: the {unit} is not a JSON-RPC 2.0 message. Send one object; `id` is a string or a "
            "number, and `params` is an object. Batches are not supported.",
            call_id=call_id if is_id and method else None,
        )
    return Rpc(method, call_id if is_request else None, params or {})


async def read(scope: Scope, receive: Receive) -> tuple[bytes, Rpc]:
    """Return the body of a POST request and its message. Raises Refused, also for more than MAX_BODY bytes."""
    if header(scope, b"content-type").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "UNSUPPORTED_MEDIA_TYPE: post JSON with Content-Type: application/json.")
    declared = header(scope, b"content-length")
    size = int(declared[:18]) if declared.isascii() and declared.isdigit() else 0
    body, more = bytearray(), True
    while more and max(size, len(body)) <= MAX_BODY:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if max(size, len(body)) > MAX_BODY:
        raise Refused(413, "BODY_TOO_LARGE: the request body is larger than 1 MiB. Send a smaller one.")
    raw = bytes(body)
    return raw, parse(raw)


def header(scope: Scope, name: bytes) -> str:
    """Return the first value of the header without surrounding blanks, or an empty string."""
    known = scope.get("state", {}).get("headers")
    if known is not None:
        return bytes(known.get(name, b"")).strip().decode("latin-1")
    return next((bytes(value).strip().decode("latin-1") for key, value in scope["headers"] if key == name), "")


async def respond(
    send: Send, status: int, body: bytes = b"", headers: Headers = (), scope: Scope | None = None
) -> None:
    """Send a whole response. A body is JSON. It is one message if the server of `scope` supports that."""
    length = (b"content-length", b"%d" % len(body))
    fields = [(b"content-type", b"application/json"), length, *headers] if body else [length, *headers]
    if scope is not None and _WHOLE in scope.get("extensions", ()):
        await send({"type": "http.response.start", "status": status, "headers": fields, "body": body})
        return
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


class Exchange:
    """The request and response of an app of the SDK, for a body that was read already.

    `ending` ends the app, which receives a disconnect. A client that reads no data for `stuck_seconds` is disconnected.
    """

    def __init__(
        self, receive: Receive, send: Send, body: bytes, ending: anyio.Event, stuck_seconds: float = inf
    ) -> None:
        self._receive = receive
        self._send = send
        self._body: bytes | None = body
        self._ending = ending
        self._stuck_seconds = stuck_seconds
        self._started = self._complete = self._gone = False

    @property
    def abandoned(self) -> bool:
        """Return whether the client disconnected before the end of the response."""
        return self._gone and not self._complete

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        message: Message = {"type": "http.disconnect"}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cancel_at_end, tasks.cancel_scope)
            message = await self._receive()
            tasks.cancel_scope.cancel()
        self._gone = self._gone or message["type"] == "http.disconnect"
        return message

    async def _cancel_at_end(self, scope: anyio.CancelScope) -> None:
        await self._ending.wait()
        scope.cancel()

    async def send(self, message: Message) -> None:
        """Send a part of the response. Parts after its end are ignored, because the SDK may answer twice."""
        if self._complete:
            return
        self._started = True
        self._complete = message["type"] == "http.response.body" and not message.get("more_body", False)
        with anyio.move_on_after(self._stuck_seconds) as write_scope:
            await self._send(message)
        if write_scope.cancelled_caught:
            self._complete = True
            self._ending.set()

    async def finish(self) -> None:
        """Complete a response, or send an error if the shutdown ended the call before its response began."""
        with suppress(OSError), anyio.move_on_after(LAST_WRITE_SECONDS):
            if self._started:
                await self.send({"type": "http.response.body", "body": b"", "more_body": False})
            elif self._ending.is_set():
                refusal = "SHUTTING_DOWN: the server stopped before this call ended. Send it again in a moment."
                await busy(refusal, retry_after=1).respond(self._send)
