"""Reads with a result too large for memory, returned as pieces of text from one snapshot.

Each read has its own session, so a slow client does not occupy a reader thread. Only a few run at once, because the
databases keep all replaced rows during an open snapshot.
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread

from project_manager.clock import monotonic
from project_manager.domain.actors import Actor
from project_manager.domain.errors import ProjectManagerError
from project_manager.domain.service_errors import Internal, QueryTimeout, QueueFull
from project_manager.store.connection import Cursor, Dialect
from project_manager.store.readers import ReadContext, ReadSession
from project_manager.store.transaction import Tx

log = logging.getLogger(__name__)

MAX_CONCURRENT = 2
WAIT_SECONDS = 5.0
PIECE_CHARACTERS = 128 * 1024

Work = Callable[[Tx], Iterator[str]]


class LongReads:
    """Pool of at most MAX_CONCURRENT long reads. The timeout is the limit for one piece."""

    def __init__(self, context: ReadContext) -> None:
        self._context = context
        self._slots = anyio.Semaphore(MAX_CONCURRENT)

    @asynccontextmanager
    async def open(self, name: str, work: Work, actor: Actor, request_id: str) -> AsyncIterator["ChunkedRead"]:
        """Yield the pieces of `work` from one snapshot. Raises QueueFull after WAIT_SECONDS without a free slot."""
        await self._acquire_slot()
        try:
            pieces = ChunkedRead(name, self._context)
            try:
                pieces.begin(work(self._context.tx(pieces, actor, request_id)))
                yield pieces
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(pieces.end)
                self._context.timed(name, pieces.seconds)
        finally:
            self._slots.release()

    async def _acquire_slot(self) -> None:
        with anyio.move_on_after(WAIT_SECONDS):
            await self._slots.acquire()
            return
        raise QueueFull(f"{MAX_CONCURRENT} large responses are already in progress", at_once=MAX_CONCURRENT)


class ChunkedRead:
    """Text of one long read, fetched piece by piece. `seconds` is the work time so far."""

    trusts_changes = False

    def __init__(self, name: str, context: ReadContext) -> None:
        self.seconds = 0.0
        self._name = name
        self._context = context
        self._session: ReadSession | None = None
        self._source: Iterator[str] = iter(())

    def begin(self, source: Iterator[str]) -> None:
        """Set the iterator that generates the text."""
        self._source = source

    async def next(self) -> str:
        """Return the next piece, or an empty string at the end.

        Raises Internal, the errors of `ReadSession.as_domain_error`, and each ProjectManagerError of `work`.
        """
        return await anyio.to_thread.run_sync(self._make)

    @property
    def dialect(self) -> Dialect:
        return self._opened().connection.dialect

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Cursor:
        """Execute a statement and return the cursor. The first call opens the session and the snapshot."""
        return self._opened().connection.execute(sql, parameters)

    def postpone(self, sql: str, parameters: Sequence[Any] = ()) -> object:
        """Refuse a write, as the session does."""
        return self.execute(sql, parameters)

    def change_row(self, sql: str, parameters: Sequence[Any] = ()) -> bool:
        """Refuse a write, as the session does."""
        return bool(self.execute(sql, parameters).rowcount)

    def stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Any]:
        """Yield the rows of a query."""
        return self._opened().connection.stream(sql, parameters)

    def keep_alive(self) -> None:
        self._opened().connection.keep_alive()

    def end(self) -> None:
        """Discard the rest of the text and close the session."""
        self._source = iter(())
        if self._session is not None:
            self._session.close()

    def _opened(self) -> ReadSession:
        if self._session is None:
            self._session = self._context.connect_for_long_reads()
            self._session.begin(self._context.timeout)
        return self._session

    def _make(self) -> str:
        started = monotonic()
        try:
            if self._session is not None:
                self._session.allow(self._context.timeout)
            return self._next_chunk(started + self._context.timeout)
        except ProjectManagerError:
            raise
        except Exception as error:
            if self._session is not None and isinstance(error, self.dialect.driver_error):
                raise self._session.as_domain_error(error) from error
            log.exception("a long read failed", extra={"action": self._name})
            raise Internal("internal server error") from error
        finally:
            self.seconds += monotonic() - started

    def _next_chunk(self, deadline: float) -> str:
        parts: list[str] = []
        size = 0
        for part in self._source:
            parts.append(part)
            size += len(part)
            if monotonic() > deadline:
                raise QueryTimeout("one piece of the response took longer than QUERY_TIMEOUT_SECONDS")
            if size >= PIECE_CHARACTERS:
                break
        return "".join(parts)
