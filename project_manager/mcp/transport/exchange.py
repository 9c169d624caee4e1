"""One HTTP exchange of this interface: the body read once, the answers that the door writes itself, and a
proper end."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import anyio
import orjson
from starlette.types import Message, Receive, Scope, Send

from project_manager.domain.actors import Actor
from project_manager.domain.errors import Unauthorized

JSON_HEADERS = (b"content-type", b"application/json")
INVALID_REQUEST = -32600
PARSE_ERROR = -32700
SERVER_BUSY = -32000


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


class TooBig(Exception):
    """The request is larger than the door takes."""


@dataclass(frozen=True, slots=True)
class Rpc:
    """One JSON-RPC message as it was posted. `id` is None for a notification and for an answer to one of
    our requests."""

    method: str
    id: str | int | None
    params: dict[str, Any] | None
    body: dict[str, Any]


def parse(raw: bytes) -> Rpc | None:
    """The message, or None if it is none: the SDK then says exactly what is wrong with it."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(body, dict) or body.get("jsonrpc") != "2.0":
        return None
    method, call_id, params = body.get("method", ""), body.get("id"), body.get("params")
    if not isinstance(method, str) or not isinstance(params, dict | None):
        return None
    if method and "id" in body and (isinstance(call_id, bool) or not isinstance(call_id, str | int)):
        return None
    if not method and "result" not in body and "error" not in body:
        return None
    return Rpc(method, call_id if method else None, params, body)


async def refuse_message(send: Send, raw: bytes) -> None:
    """Says why `parse` found no message."""
    try:
        orjson.loads(raw)
    except orjson.JSONDecodeError:
        await refuse(send, 400, "PARSE_ERROR: the body is not JSON in UTF-8.", code=PARSE_ERROR)
    else:
        await refuse(
            send,
            400,
            "INVALID_REQUEST: the body is not a JSON-RPC 2.0 message. Send one object; `id` is a string or a number, "
            "and `params` is an object. Batches are not supported.",
        )


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body. Raises TooBig before it is held, and ClientGone."""
    declared = header(scope, b"content-length")
    if declared.isascii() and declared.isdigit() and int(declared[:18]) > limit:
        raise TooBig
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooBig
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def header(scope: Scope, name: bytes) -> str:
    """The first value of that header, without surrounding blanks; empty if there is none."""
    known = scope.get("state", {}).get("headers")
    if known is not None:
        return bytes(known.get(name, b"")).strip().decode("latin-1")
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).strip().decode("latin-1")
    return ""


def actor_of(scope: Scope) -> Actor:
    """Who asks: the gate in front of every door has put it there. Raises Unauthorized when it has named nobody."""
    actor = scope.get("state", {}).get("actor")
    if not isinstance(actor, Actor):
        raise Unauthorized("MCP requires authentication")
    return actor


def secret_of(scope: Scope) -> str | None:
    """The token that the caller came in with."""
    secret = scope.get("state", {}).get("secret")
    return secret if isinstance(secret, str) else None


def request_id_of(scope: Scope) -> str:
    """The id under which the gate lets the request through."""
    return str(scope.get("state", {}).get("request_id", "mcp"))


async def send_json(send: Send, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    fields = [JSON_HEADERS, (b"content-length", b"%d" % len(raw))]
    for name, value in (headers or {}).items():
        fields.append((name.encode("latin-1"), value.encode("latin-1")))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": raw})


async def send_empty(send: Send, status: int, headers: Mapping[str, str] | None = None) -> None:
    fields = [(b"content-length", b"0")]
    for name, value in (headers or {}).items():
        fields.append((name.encode("latin-1"), value.encode("latin-1")))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": b""})


async def refuse(
    send: Send,
    status: int,
    message: str,
    *,
    code: int = INVALID_REQUEST,
    headers: Mapping[str, str] | None = None,
) -> None:
    """A refusal as a JSON-RPC error; `message` begins with the stable code in capitals and says what to
    do."""
    await send_json(send, status, {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}, headers)


async def refuse_stream(send: Send) -> None:
    await refuse(
        send,
        503,
        "CONNECTION_LIMIT: the limit of MCP streams (MCP_MAX_CONNECTIONS) is reached. Try again in a moment; calls "
        "without a stream still work.",
        code=SERVER_BUSY,
        headers={"retry-after": "5"},
    )


class Exchange:
    """Hands a request that was read already to an app of the SDK, and sees to it that its response is
    completed.

    `ending` makes the app believe that the client left: that is how a stop ends what runs for too long.
    """

    def __init__(self, receive: Receive, send: Send, body: bytes, ending: anyio.Event) -> None:
        self._receive = receive
        self._send = send
        self._body: bytes | None = body
        self._ending = ending
        self._started = False
        self._complete = False
        self._gone = False

    @property
    def abandoned(self) -> bool:
        """The client left before it had the whole response."""
        return self._gone and not self._complete

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        message: Message = {"type": "http.disconnect"}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._until_ending, tasks.cancel_scope)
            message = await self._receive()
            tasks.cancel_scope.cancel()
        if message["type"] == "http.disconnect":
            self._gone = True
        return message

    async def _until_ending(self, scope: anyio.CancelScope) -> None:
        await self._ending.wait()
        scope.cancel()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self._complete = True
        await self._send(message)

    async def finish(self) -> None:
        """Completes a response that was begun, so that the client sees an end and not a cut."""
        if self._complete:
            return
        with suppress(OSError):
            if self._started:
                await self.send({"type": "http.response.body", "body": b"", "more_body": False})
            elif self._ending.is_set():
                self._complete = True
                await refuse(
                    self._send,
                    503,
                    "SHUTTING_DOWN: the server stopped before this call ended. Send it again in a moment.",
                    code=SERVER_BUSY,
                    headers={"retry-after": "1"},
                )
