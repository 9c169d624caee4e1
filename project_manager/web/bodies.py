"""Request bodies: small ones in memory, large ones spooled to disk, one at a time."""

import errno
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import anyio
import anyio.to_thread

from project_manager.domain.errors import (
    BodyTooLarge,
    DatabaseUnavailable,
    ImportInProgress,
    MalformedBody,
    MalformedHeader,
    RequestTimeout,
    StorageFull,
)
from project_manager.domain.limits import BODY_BYTES, ID_DIGITS
from project_manager.web.middleware import Receive

STALLED_SECONDS = 10.0
"""Longest wait for the next piece of a body."""
WHOLE_SECONDS = 600.0
"""Longest time for a whole body."""
WRITE_BYTES = 1024 * 1024


async def read_body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    """Return the whole body, and read no further than the limit.

    Raises BodyTooLarge, MalformedHeader, and MalformedBody when the client disconnects.
    """
    declared_length(headers, BODY_BYTES)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise MalformedBody("the client disconnected")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > BODY_BYTES:
            raise _too_large(BODY_BYTES)
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks) if len(chunks) > 1 else chunks[0]


def declared_length(headers: dict[bytes, bytes], limit: int) -> int:
    """Return the Content-Length in bytes, or 0 without the header. Raises MalformedHeader, BodyTooLarge."""
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or len(declared) > ID_DIGITS:
        raise MalformedHeader("the header Content-Length is not a number")
    if int(declared) > limit:
        raise _too_large(limit)
    return int(declared)


class LargeBodyReader:
    """Receiver of bodies of up to `limit` bytes.

    A body beyond BODY_BYTES is spooled to an unnamed temporary file in `folder`, the directory of the database. A
    container's /tmp may have no space. A second large body is refused until the first has been processed.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._busy = False

    @asynccontextmanager
    async def received(self, headers: dict[bytes, bytes], receive: Receive) -> AsyncIterator[Callable[[], bytes]]:
        """Receive a body and yield a function that returns it. Call the function on a thread.

        Raises BodyTooLarge, ImportInProgress, StorageFull, RequestTimeout when the client stops sending, and
        MalformedBody when it disconnects.
        """
        declared = declared_length(headers, self._limit)
        with ExitStack() as held:
            if declared > BODY_BYTES:
                held.enter_context(self._single_upload())
            yield await self._receive(receive, held, is_large=declared > BODY_BYTES)

    async def _receive(self, receive: Receive, held: ExitStack, *, is_large: bool) -> Callable[[], bytes]:
        buffer, size, file = bytearray(), 0, None
        try:
            with anyio.fail_after(WHOLE_SECONDS):
                async for chunk in _chunks(receive):
                    size += len(chunk)
                    if size > self._limit:
                        raise _too_large(self._limit)
                    if size > BODY_BYTES and not is_large:
                        is_large = True
                        held.enter_context(self._single_upload())
                    buffer += chunk
                    if is_large and len(buffer) >= WRITE_BYTES:
                        file = file or held.enter_context(await anyio.to_thread.run_sync(self._opened))
                        await anyio.to_thread.run_sync(_append, file, bytes(buffer))
                        buffer.clear()
        except TimeoutError as error:
            raise RequestTimeout("timeout while reading the request body") from error
        return partial(_read_whole, file, bytes(buffer))

    @contextmanager
    def _single_upload(self) -> Iterator[None]:
        if self._busy:
            raise ImportInProgress("another large plan is being imported")
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    def _opened(self) -> IO[bytes]:
        try:
            return TemporaryFile(dir=self._folder, buffering=0)
        except OSError as error:
            raise _spool_error(error) from error


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    """Yield the pieces of a body.

    Raises MalformedBody when the client disconnects, TimeoutError when it stops sending.
    """
    while True:
        with anyio.fail_after(STALLED_SECONDS):
            message = await receive()
        if message["type"] == "http.disconnect":
            raise MalformedBody("the client disconnected")
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


def _append(file: IO[bytes], piece: bytes) -> None:
    try:
        view = memoryview(piece)
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        raise _spool_error(error) from error


def _read_whole(file: IO[bytes] | None, rest: bytes) -> bytes:
    if file is None:
        return rest
    _append(file, rest)
    file.seek(0)
    return file.read()


def _spool_error(error: OSError) -> StorageFull | DatabaseUnavailable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull("no disk space for the plan")
    return DatabaseUnavailable(f"cannot store the plan temporarily: {error.strerror}")


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {limit} bytes", limit=limit)
