"""Response bodies in pieces, sent no faster than the client reads. A client that takes too long is cut off."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote

import anyio
import anyio.lowlevel
import orjson

from project_manager.observability.logging import log_action
from project_manager.operations.definition import Operation
from project_manager.schemas.commands import Command
from project_manager.web.middleware import Send

log = logging.getLogger(__name__)

PIECE_BYTES = 128 * 1024
STALLED_SECONDS = 10.0
WHOLE_SECONDS = 120.0

Headers = list[tuple[bytes, bytes]]
Fetch = Callable[[], Awaitable[str]]


class StreamedResponse:
    """Streamed response. `status` is None until the head is sent. After that, an error cuts the response off."""

    def __init__(self, send: Send) -> None:
        self.status: int | None = None
        self.complete = False
        self.timeout_scope = anyio.CancelScope()
        self._send = send
        self._bytes = 0

    async def begin(self, status: int, headers: Headers) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        self.status = status
        self.timeout_scope.deadline = anyio.current_time() + WHOLE_SECONDS

    async def write(self, body: bytes, *, more: bool = True) -> None:
        """Send a piece. Cancel `timeout_scope` when the client does not read for STALLED_SECONDS."""
        with anyio.move_on_after(STALLED_SECONDS) as write_scope:
            await self._send({"type": "http.response.body", "body": body, "more_body": more})
        if write_scope.cancelled_caught:
            self.timeout_scope.cancel()
            await anyio.lowlevel.checkpoint()
        self._bytes += len(body)
        self.complete = not more

    async def refuse(self, status: int, headers: Headers, body: bytes) -> None:
        """Send this response instead, unless the streamed one has begun."""
        if self.status is None:
            await self.begin(status, headers)
            await self.write(body, more=False)

    def note(self, path: str) -> None:
        """Log a response that was begun and not completed. The server closes its connection."""
        if self.status is not None and not self.complete:
            log_action(log, "cut_off", logging.WARNING, path=path, bytes=self._bytes)


async def send_in_chunks(send: Send, status: int, headers: Headers, body: bytes, path: str) -> None:
    """Send a large body that is already in memory."""
    outgoing = StreamedResponse(send)
    with outgoing.timeout_scope:
        await outgoing.begin(status, headers)
        for start in range(0, len(body), PIECE_BYTES):
            end = start + PIECE_BYTES
            await outgoing.write(body[start:end], more=end < len(body))
    outgoing.note(path)


@dataclass(frozen=True, slots=True)
class Framing:
    """The bytes around a streamed text. `is_json`: the text is a string in a JSON object.

    `file_name` is the name of the file as which a browser saves the text. Empty for other clients.
    """

    media_type: str
    before: bytes = b""
    after: bytes = b""
    is_json: bool = False
    file_name: str = ""


def framing_of(operation: Operation, command: Command, accept: str) -> Framing:
    """Return the framing of a streamed text: plain if `accept` names its media type, else as a field in JSON.

    A browser that follows a link accepts HTML, and gets the plain text as a file.
    """
    text = operation.streamed
    if text is None:
        raise ValueError(f"{operation.name} is not streamed")
    if any(media_type in accept for media_type in text.media_types):
        return Framing(text.media_types[0])
    if text.file_name is not None and "text/html" in accept:
        return Framing(text.media_types[0], file_name=text.file_name(command))
    repeated = {name: getattr(command, name) for name in operation.view.__dataclass_fields__ if name != text.field}
    before, quote, end = orjson.dumps({**repeated, text.field: ""}).rpartition(b'"')
    return Framing("application/json", before, quote + end, is_json=True)


async def send_stream(outgoing: StreamedResponse, framing: Framing, fetch: Fetch, *, head: bool) -> None:
    """Send a text while it is generated. An error in the first piece is raised before anything is sent."""
    piece = await fetch()
    headers = [(b"content-type", framing.media_type.encode()), (b"vary", b"accept")]
    if framing.file_name:
        headers.append((b"content-disposition", f"attachment; filename*=UTF-8''{quote(framing.file_name)}".encode()))
    await outgoing.begin(200, headers)
    if head:
        await outgoing.write(b"", more=False)
        return
    if framing.before:
        await outgoing.write(framing.before)
    while piece:
        await outgoing.write(orjson.dumps(piece)[1:-1] if framing.is_json else piece.encode())
        piece = await fetch()
    await outgoing.write(framing.after, more=False)
