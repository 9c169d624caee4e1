"""An open database: one writer, several readers and one tail."""

import logging
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from project_manager.clock import monotonic
from project_manager.store.backend import Backend
from project_manager.store.database_clock import DatabaseClock
from project_manager.store.instances import this_host
from project_manager.store.long_reads import LongReads
from project_manager.store.readers import ReadContext, Readers
from project_manager.store.tail import EventReader
from project_manager.store.writer import Writer, WriterHooks

log = logging.getLogger(__name__)

STOP_SECONDS = 2.5
"""Time for the last write and the end of the threads at shutdown, in which a database may not answer."""
LAST_WRITE_SECONDS = 2.0
"""Part of STOP_SECONDS for the last write."""
LEAST_SECONDS = 0.3
"""Time for the threads to end after a last write that took longer."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of an open database. `pool` is the number of reader threads. Times are in seconds."""

    pool: int
    query_timeout: float
    poll_interval: float
    max_attempts: int


class Database:
    """The writer, readers, long reads and tail of a database. Call `Backend.prepare` first."""

    def __init__(
        self, backend: Backend, options: Options, hooks: WriterHooks, timed: Callable[[str, float], None]
    ) -> None:
        self.backend = backend
        self.instance = secrets.token_hex(8)
        self.host = this_host()
        self._stops_at: float | None = None
        try:
            self._open(options, hooks, timed)
        except backend.driver_error as error:
            raise backend.open_error(error) from error

    def _open(self, options: Options, hooks: WriterHooks, timed: Callable[[str, float], None]) -> None:
        """Open all connections, or none."""
        with ExitStack() as opened:
            session = self.backend.connect_writer()
            opened.callback(session.close)
            self.writer = Writer(
                session,
                self.backend.clock,
                hooks,
                max_attempts=options.max_attempts,
                poll_interval=options.poll_interval,
            )
            context = ReadContext(
                self.backend.connect_reader,
                self.backend.connect_long_read,
                options.query_timeout,
                self.clock,
                options.max_attempts,
                timed,
            )
            self.readers = Readers(context, threads=options.pool)
            opened.callback(self.readers.close)
            self.long_reads = LongReads(context)
            tail = self.backend.connect_tail()
            opened.callback(tail.close)
            self.tail = EventReader(tail, foreign_commit=self.writer.others_committed)
            self.backend.opened()
            opened.pop_all()

    @property
    def clock(self) -> DatabaseClock:
        """Return the database clock of this process."""
        return self.writer.clock

    def start(self) -> None:
        self.writer.start()
        self.readers.start()
        self.tail.start()

    def stop_waiting(self) -> None:
        """Shorten the waits for another process and for a lost server, because this process is stopping."""
        self._stops_at = monotonic() + STOP_SECONDS
        self.writer.shorten_busy_timeout()

    def close(self) -> None:
        """Finish the queued jobs and close all connections. Blocks, at most for the rest of STOP_SECONDS.

        A thread that still waits for the database then keeps its connection, and ends with the process at the latest.
        What it writes is kept whole or not at all, and has no caller.
        """
        now = monotonic()
        until = max(self._stops_at or now + STOP_SECONDS, now + LEAST_SECONDS)
        parts = {"tail": self.tail.close, "readers": self.readers.close, "writer": self.writer.close}
        waiting = [name for name, close in parts.items() if not close(until)]
        if waiting:
            log.warning(
                "the database does not answer: the %s still waits for it",
                " and the ".join(waiting),
                extra={"action": "close_incomplete"},
            )

    def is_healthy(self) -> bool:
        """Return whether the writer and tail threads are alive. If not, the process needs a restart."""
        return self.writer.alive and self.tail.alive
