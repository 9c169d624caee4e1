"""Reader threads with read-only connections. Each read has one snapshot and a deadline."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from project_manager.clock import monotonic
from project_manager.domain.actors import Actor
from project_manager.domain.errors import QueueFull, ShuttingDown
from project_manager.observability.logging import bind_context
from project_manager.store.connection import Connection
from project_manager.store.database_clock import DatabaseClock
from project_manager.store.sqlite import driver
from project_manager.store.sqlite.file_watch import FileWatch
from project_manager.store.transaction import Tx

QUEUE = 1024
PROGRESS_HANDLER_STEPS = 20_000
LOCK_TIMEOUT_SECONDS = 0.005
"""Maximum wait of a read for the previous read, in seconds.

A read releases the interpreter lock at every row. Two concurrent reads contend for the lock each time, and take 50 %
longer than two sequential reads.
"""

Result = TypeVar("Result")


@dataclass(slots=True)
class _Read(Generic[Result]):
    name: str
    work: Callable[[Tx], Result]
    actor: Actor
    request_id: str
    future: asyncio.Future[Result]
    loop: asyncio.AbstractEventLoop


@dataclass(frozen=True, slots=True)
class ReadContext:
    """The database file and the conditions of its reads: `timeout` is in seconds, and `timed` gets (name, seconds)."""

    path: str
    watch: FileWatch
    timeout: float
    clock: DatabaseClock
    max_attempts: int
    timed: Callable[[str, float], None]

    def tx(self, connection: Connection, actor: Actor, request_id: str) -> Tx:
        """Return a transaction at the present instant."""
        wall = self.clock.wall_clock_if_different()
        return Tx(connection, self.clock.now(), actor, request_id, self.max_attempts, wall=wall)


class Readers:
    """Pool of reader threads, each with one connection."""

    def __init__(self, context: ReadContext, *, threads: int) -> None:
        self._context = context
        self._queue: queue.SimpleQueue[_Read[Any] | None] = queue.SimpleQueue()
        self._closing = self._ended = False
        self._progressed = 0.0
        self._run_lock = threading.Lock()
        self._connections = [driver.connect(context.path, read_only=True) for _ in range(threads)]
        self._threads = [
            threading.Thread(target=self._serve, args=(connection,), name=f"reader-{number}", daemon=True)
            for number, connection in enumerate(self._connections)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    async def run(self, name: str, work: Callable[[Tx], Result], actor: Actor, request_id: str) -> Result:
        """Run `work` on one snapshot and return its result.

        Raises QueueFull, ShuttingDown, DatabaseMoved, the errors of `driver.as_domain_error`, and each error of `work`.
        """
        if self._closing:
            raise ShuttingDown("the server is shutting down")
        if self._queue.qsize() >= QUEUE:
            raise QueueFull(f"the read queue is full: {QUEUE} reads wait")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        read = _Read(name, work, actor, request_id, future, loop)
        self._queue.put(read)
        if self._ended:
            self._reject_remaining()
        return await future

    def has_progressed_since(self, instant: float) -> bool:
        """Return whether a reader has progressed after this instant of `monotonic`.

        A long read progresses while it runs. A read that waits for the disk does not.
        """
        return self._progressed > instant

    def close(self) -> None:
        """Finish the queued reads and close all connections. Blocks."""
        self._closing = True
        for _ in self._threads:
            self._queue.put(None)
        for thread, connection in zip(self._threads, self._connections, strict=True):
            if thread.ident is not None:
                thread.join()
            connection.close()
        self._ended = True
        self._reject_remaining()

    def _reject_remaining(self) -> None:
        """Fail the reads that were queued after the shutdown with ShuttingDown."""
        with suppress(queue.Empty, RuntimeError):
            while True:
                read = self._queue.get_nowait()
                if read is not None:
                    refusal = ShuttingDown("the server is shutting down")
                    read.loop.call_soon_threadsafe(_settle, read.future, None, refusal)

    def _serve(self, connection: Any) -> None:
        deadline = [0.0]

        def is_overdue() -> bool:
            self._progressed = instant = monotonic()
            return instant > deadline[0]

        connection.set_progress_handler(is_overdue, PROGRESS_HANDLER_STEPS)
        while (read := self._queue.get()) is not None:
            if read.future.done():
                continue  # the caller has cancelled the read
            started = monotonic()
            deadline[0] = started + self._context.timeout
            bind_context(read.request_id, read.actor.token_id)
            outcome, error = self._run_after_previous(connection, read)
            self._progressed = finished = monotonic()
            self._context.timed(read.name, finished - started)
            try:
                read.loop.call_soon_threadsafe(_settle, read.future, outcome, error)
            except RuntimeError:
                return  # the event loop has ended, and all callers with it

    def _run_after_previous(self, connection: Any, read: _Read[Any]) -> tuple[Any, BaseException | None]:
        """Run a read after the previous one. Behind a long read, start after LOCK_TIMEOUT_SECONDS."""
        taken = self._run_lock.acquire(timeout=LOCK_TIMEOUT_SECONDS)
        try:
            return self._attempt(connection, read)
        finally:
            if taken:
                self._run_lock.release()

    def _attempt(self, connection: Any, read: _Read[Any]) -> tuple[Any, BaseException | None]:
        try:
            self._context.watch.check_reads()
            connection.execute("BEGIN")
            tx = self._context.tx(connection, read.actor, read.request_id)
            try:
                return read.work(tx), None
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except driver.DriverError as error:
            self._context.watch.note(error)
            return None, driver.as_domain_error(error)
        except Exception as error:  # noqa: BLE001 a reader thread survives every error and passes it to the caller
            return None, error


def _settle(future: asyncio.Future[Any], outcome: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(outcome)
