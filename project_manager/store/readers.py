"""Reader threads with read-only sessions. Each read has one snapshot and a deadline."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from project_manager.clock import monotonic
from project_manager.domain.actors import Actor
from project_manager.domain.errors import ProjectManagerError
from project_manager.domain.service_errors import QueueFull, ShuttingDown
from project_manager.observability.logging import bind_context
from project_manager.store.connection import Connection
from project_manager.store.database_clock import DatabaseClock
from project_manager.store.joining import join
from project_manager.store.transaction import Tx

QUEUE = 1024
ATTEMPTS = 5
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


class ReadSession(Protocol):
    """A connection that reads one snapshot at a time.

    `progressed` is the last instant of `monotonic` at which it was not waiting for the disk or the network.
    """

    @property
    def progressed(self) -> float: ...
    @property
    def in_process(self) -> bool:
        """Return whether this process runs the statements, so that two reads contend for the interpreter."""

    @property
    def connection(self) -> Connection: ...

    def begin(self, seconds: float) -> None:
        """Begin a snapshot, and end statements after this time. Raises the driver's error or a ProjectManagerError."""

    def allow(self, seconds: float) -> None:
        """End statements after this time from now."""

    def end(self) -> None:
        """End the snapshot, also after an error."""

    def is_interrupted(self, error: BaseException) -> bool:
        """Return whether the connection was lost with this error, so that the read may run again."""

    def as_domain_error(self, error: BaseException) -> ProjectManagerError:
        """Return the error for the caller of a read that has failed with this error of the driver."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ReadContext:
    """The conditions of the reads of a database: `timeout` is in seconds, and `timed` gets (name, seconds)."""

    connect: Callable[[], ReadSession]
    connect_for_long_reads: Callable[[], ReadSession]
    timeout: float
    clock: DatabaseClock
    max_attempts: int
    timed: Callable[[str, float], None]

    def tx(self, connection: Connection, actor: Actor, request_id: str) -> Tx:
        """Return a transaction at the present instant."""
        wall = self.clock.wall_clock_if_different()
        return Tx(connection, self.clock.now(), actor, request_id, self.max_attempts, wall=wall)


class Readers:
    """Pool of reader threads, each with one session."""

    def __init__(self, context: ReadContext, *, threads: int) -> None:
        self._context = context
        self._queue: queue.SimpleQueue[_Read[Any] | None] = queue.SimpleQueue()
        self._closing = self._ended = False
        self._run_lock = threading.Lock()
        self._sessions = _connect_all(context.connect, threads)
        self._threads = [
            threading.Thread(target=self._serve, args=(session,), name=f"reader-{number}", daemon=True)
            for number, session in enumerate(self._sessions)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    async def run(self, name: str, work: Callable[[Tx], Result], actor: Actor, request_id: str) -> Result:
        """Run `work` on one snapshot and return its result.

        Raises QueueFull, ShuttingDown, the errors of `ReadSession.as_domain_error`, and each error of `work`.
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
        return any(session.progressed > instant for session in self._sessions)

    def close(self, until: float | None = None) -> bool:
        """Finish the queued reads and close all connections. Blocks.

        Return False if a thread has not ended at `until`, an instant of `monotonic`. Its connection then stays open.
        """
        self._closing = True
        for _ in self._threads:
            self._queue.put(None)
        have_ended = [join(thread, until) for thread in self._threads]
        for session, has_ended in zip(self._sessions, have_ended, strict=True):
            if has_ended:
                session.close()
        self._ended = True
        self._reject_remaining()
        for _ in self._threads:
            self._queue.put(None)  # a thread that has not ended takes it
        return all(have_ended)

    def _reject_remaining(self) -> None:
        """Fail the reads that were queued after the shutdown with ShuttingDown."""
        with suppress(queue.Empty, RuntimeError):
            while True:
                read = self._queue.get_nowait()
                if read is not None:
                    refusal = ShuttingDown("the server is shutting down")
                    read.loop.call_soon_threadsafe(_settle, read.future, None, refusal)

    def _serve(self, session: ReadSession) -> None:
        while (read := self._queue.get()) is not None:
            if read.future.done():
                continue  # the caller has cancelled the read
            started = monotonic()
            bind_context(read.request_id, read.actor.token_id)
            outcome, error = self._run_after_previous(session, read)
            self._context.timed(read.name, monotonic() - started)
            try:
                read.loop.call_soon_threadsafe(_settle, read.future, outcome, error)
            except RuntimeError:
                return  # the event loop has ended, and all callers with it

    def _run_after_previous(self, session: ReadSession, read: _Read[Any]) -> tuple[Any, BaseException | None]:
        """Run a read after the previous one. Behind a long read, start after LOCK_TIMEOUT_SECONDS."""
        taken = session.in_process and self._run_lock.acquire(timeout=LOCK_TIMEOUT_SECONDS)
        try:
            return self._attempt(session, read)
        finally:
            if taken:
                self._run_lock.release()

    def _attempt(self, session: ReadSession, read: _Read[Any]) -> tuple[Any, BaseException | None]:
        """Run a read. Run it again when its connection is lost, but not often, because it may be the cause."""
        attempts = 0
        while True:
            attempts += 1
            try:
                return self._result(session, read), None
            except session.connection.dialect.driver_error as error:
                if attempts == ATTEMPTS or self._closing or not session.is_interrupted(error):
                    return None, session.as_domain_error(error)
            except Exception as error:  # noqa: BLE001 a reader thread survives every error and passes it to the caller
                return None, error

    def _result(self, session: ReadSession, read: _Read[Any]) -> Any:
        session.begin(self._context.timeout)
        try:
            return read.work(self._context.tx(session.connection, read.actor, read.request_id))
        finally:
            session.end()


def _connect_all(connect: Callable[[], ReadSession], number: int) -> list[ReadSession]:
    """Return this number of sessions. After an error, none stays open."""
    with ExitStack() as opened:
        sessions = [opened.enter_context(closing(connect())) for _ in range(number)]
        opened.pop_all()
        return sessions


def _settle(future: asyncio.Future[Any], outcome: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(outcome)
