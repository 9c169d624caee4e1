"""Request bodies: small ones in memory, large ones spooled to disk, one at a time."""

import errno
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import anyio

from project_manager.domain.errors import BodyTooLarge, MalformedBody, MalformedHeader, RequestTimeout
from project_manager.domain.limits import BODY_BYTES, ID_DIGITS
from project_manager.domain.service_errors import DatabaseUnavailable, ImportInProgress, StorageFull
from project_manager.web.middleware import Message, Receive

STALLED_SECONDS = 10.0
"""Longest wait for the next piece of a body."""
WHOLE_SECONDS = 600.0
"""Longest time for a whole body."""


async def read_body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    """Return the whole body. Raises BodyTooLarge, MalformedHeader, and MalformedBody after a disconnect."""
    declared_length(headers, BODY_BYTES)
    body, more = bytearray(), True
    while more:
        chunk, more = _part(await receive())
        body += chunk
        if len(body) > BODY_BYTES:
            raise _too_large(BODY_BYTES)
    return bytes(body)


def declared_length(headers: dict[bytes, bytes], limit: int) -> int:
    """Return the Content-Length in bytes, or 0 without the header. Raises MalformedHeader, BodyTooLarge."""
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or len(declared) > ID_DIGITS:
        raise MalformedHeader("the header Content-Length is not a number")
    if int(declared) > limit:
        raise _too_large(limit)
    return int(declared)


class LargeBodyReader:
    """Receiver of bodies of up to `limit` bytes. Only one body at a time may be larger than BODY_BYTES.

    That body is spooled to a file in `folder`, the directory of the database file. A container's /tmp may have no
    space. Without a database file, `folder` is None, and the file is in the directory for temporary files.
    """

    def __init__(self, folder: Path | None, limit: int) -> None:
        self._folder = None if folder is None else str(folder)
        self._limit = limit
        self._busy = False

    @asynccontextmanager
    async def received(self, headers: dict[bytes, bytes], receive: Receive) -> AsyncIterator[bytes]:
        """Yield the received body.

        Raises BodyTooLarge, ImportInProgress, StorageFull, DatabaseUnavailable, MalformedHeader, RequestTimeout when
        the client stalls, and MalformedBody after a disconnect.
        """
        declared = declared_length(headers, self._limit)
        with ExitStack() as held:
            if declared > BODY_BYTES:
                held.enter_context(self._single_upload())
            try:
                body = await self._receive(receive, held, is_large=declared > BODY_BYTES)
            except TimeoutError as error:
                raise RequestTimeout("timeout while reading the request body") from error
            except OSError as error:
                raise _spool_error(error) from error
            yield body

    async def _receive(self, receive: Receive, held: ExitStack, *, is_large: bool) -> bytes:
        size = 0
        async with anyio.SpooledTemporaryFile(max_size=BODY_BYTES, dir=self._folder) as spool:
            with anyio.fail_after(WHOLE_SECONDS):
                async for chunk in _chunks(receive):
                    size += len(chunk)
                    if size > self._limit:
                        raise _too_large(self._limit)
                    if size > BODY_BYTES and not is_large:
                        is_large = True
                        held.enter_context(self._single_upload())
                    await spool.write(chunk)
            await spool.seek(0)
            return await spool.read()

    @contextmanager
    def _single_upload(self) -> Iterator[None]:
        if self._busy:
            raise ImportInProgress("another large plan is being imported")
        self._busy = True
        try:
            yield
        finally:
            self._busy = False


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    """Yield the pieces of a body. Raises MalformedBody after a disconnect, TimeoutError when the client stalls."""
    more = True
    while more:
        with anyio.fail_after(STALLED_SECONDS):
            message = await receive()
        chunk, more = _part(message)
        yield chunk


def _part(message: Message) -> tuple[bytes, bool]:
    """Return a piece of a body and whether another one follows. Raises MalformedBody for a disconnect."""
    if message["type"] == "http.disconnect":
        raise MalformedBody("the client disconnected")
    return message.get("body", b""), message.get("more_body", False)


def _spool_error(error: OSError) -> StorageFull | DatabaseUnavailable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull("no disk space for the plan")
    return DatabaseUnavailable(f"cannot store the plan temporarily: {error.strerror}")


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {limit} bytes", limit=limit)
