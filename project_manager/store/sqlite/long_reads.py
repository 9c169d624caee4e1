"""Reads with a result too large for memory, returned as pieces of text from one snapshot.

Each read has its own connection, so a slow client does not occupy a reader thread. Only a few run at once, because
SQLite cannot reuse the write-ahead log during an open snapshot.
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread

from project_manager.clock import monotonic
from project_manager.domain.actors import Actor
from project_manager.domain.errors import Internal, ProjectManagerError, QueryTimeout, QueueFull
from project_manager.store.sqlite import driver
from project_manager.store.sqlite.readers import PROGRESS_HANDLER_STEPS, ReadContext
from project_manager.store.transaction import Tx

log = logging.getLogger(__name__)

MAX_CONCURRENT = 2
WAIT_SECONDS = 5.0
PIECE_CHARACTERS = 128 * 1024
CACHE_KIB = 2048

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

    def __init__(self, name: str, context: ReadContext) -> None:
        self.seconds = 0.0
        self.dialect = driver.DIALECT
        self._name = name
        self._context = context
        self._deadline = 0.0
        self._connection: Any = None
        self._source: Iterator[str] = iter(())

    def begin(self, source: Iterator[str]) -> None:
        """Set the iterator that generates the text."""
        self._source = source

    async def next(self) -> str:
        """Return the next piece, or an empty string at the end.

        Raises DatabaseMoved, the errors of `driver.as_domain_error`, Internal, and each ProjectManagerError of `work`.
        """
        return await anyio.to_thread.run_sync(self._make)

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        """Execute a statement and return the cursor. The first call opens the connection and the snapshot."""
        if self._connection is None:
            self._connection = self._connected()
        return self._connection.execute(sql, parameters)

    def end(self) -> None:
        """Discard the rest of the text and close the connection."""
        self._source = iter(())
        if self._connection is not None:
            self._connection.close()

    def _make(self) -> str:
        started = monotonic()
        self._deadline = started + self._context.timeout
        try:
            return self._next_chunk()
        except driver.DriverError as error:
            self._context.watch.note(error)
            raise driver.as_domain_error(error) from error
        except ProjectManagerError:
            raise
        except Exception as error:
            log.exception("a long read failed", extra={"action": self._name})
            raise Internal("internal server error") from error
        finally:
            self.seconds += monotonic() - started

    def _next_chunk(self) -> str:
        parts: list[str] = []
        size = 0
        for part in self._source:
            parts.append(part)
            size += len(part)
            if monotonic() > self._deadline:
                raise QueryTimeout("one piece of the response took longer than QUERY_TIMEOUT_SECONDS")
            if size >= PIECE_CHARACTERS:
                break
        return "".join(parts)

    def _connected(self) -> Any:
        self._context.watch.check_before_opening()
        connection = driver.connect(self._context.path, read_only=True)
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.set_progress_handler(lambda: monotonic() > self._deadline, PROGRESS_HANDLER_STEPS)
        connection.execute("BEGIN")
        return connection
