"""Bodies in pieces, sent no faster than the client reads: those that are held but large, those that never are whole.

A client that does not read, or takes too long, is cut off: it sees a body that is not complete.
"""

import logging
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import orjson

from project_manager.observability.logging import log_action
from project_manager.schemas.plans import ExportPlan
from project_manager.web.middleware import Send

log = logging.getLogger(__name__)

PIECE_BYTES = 128 * 1024
STALLED_SECONDS = 10.0
WHOLE_SECONDS = 120.0

Headers = list[tuple[bytes, bytes]]
Fetch = Callable[[], Awaitable[str]]


class Outgoing:
    """One answer on its way: `status` once that has gone out, after which the answer can only be cut off."""

    def __init__(self, send: Send) -> None:
        self.status: int | None = None
        self.complete = False
        self.bounds = anyio.CancelScope()
        self._send = send
        self._bytes = 0

    async def begin(self, status: int, headers: Headers) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        self.status = status
        self.bounds.deadline = anyio.current_time() + WHOLE_SECONDS

    async def write(self, body: bytes, *, more: bool = True) -> None:
        """Returns when there is room for the next piece. Cancels `bounds` when the client has not read for too long."""
        with anyio.move_on_after(STALLED_SECONDS) as patience:
            await self._send({"type": "http.response.body", "body": body, "more_body": more})
        if patience.cancelled_caught:
            self.bounds.cancel()
            await anyio.lowlevel.checkpoint()
        self._bytes += len(body)
        self.complete = not more

    async def refuse(self, status: int, headers: Headers, body: bytes) -> None:
        """Another answer, as long as this one has not begun."""
        if self.status is None:
            await self.begin(status, headers)
            await self.write(body, more=False)

    def note(self, path: str) -> None:
        """Tells of an answer that was begun and not completed; the server closes its connection."""
        if self.status is not None and not self.complete:
            log_action(log, "cut_off", logging.WARNING, path=path, bytes=self._bytes)


async def send_held(send: Send, status: int, headers: Headers, body: bytes, path: str) -> None:
    """A large body that is there already."""
    outgoing = Outgoing(send)
    with outgoing.bounds:
        await outgoing.begin(status, headers)
        for start in range(0, len(body), PIECE_BYTES):
            end = start + PIECE_BYTES
            await outgoing.write(body[start:end], more=end < len(body))
    outgoing.note(path)


async def send_export(outgoing: Outgoing, command: ExportPlan, fetch: Fetch, *, bare: bool, head: bool) -> None:
    """The document as it is made: `bare`, or as a text in JSON. What goes wrong with its first piece is raised before
    anything is sent.
    """
    piece = await fetch()
    await outgoing.begin(200, [(b"content-type", b"application/yaml" if bare else b"application/json")])
    if head:
        await outgoing.write(b"", more=False)
        return
    if not bare:
        await outgoing.write(b'{"format":"%s","document":"' % command.format.encode())
    while piece:
        await outgoing.write(piece.encode() if bare else orjson.dumps(piece)[1:-1])
        piece = await fetch()
    await outgoing.write(b"" if bare else b'"}', more=False)
