"""Single writer thread with group commit.

The thread takes the waiting jobs of a bounded queue, opens one transaction, ends expired leases, runs each job, and
commits once. Each job returns only after its result is durable, and all jobs share the cost of the fsync.

The writes of a failed job are rolled back without an effect on other jobs. When the database aborts the transaction,
such as on a full disk, every job gets the error, because no write was kept. A batch that has lost its connection runs
again. When the outcome of a commit is unknown, every job gets OutcomeUnknown or WriteUnconfirmed.
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from project_manager.clock import Clock
from project_manager.domain.actors import SYSTEM, Actor
from project_manager.domain.errors import ProjectManagerError
from project_manager.domain.service_errors import OutcomeUnknown, QueueFull, ShuttingDown
from project_manager.store import chain, events, meta
from project_manager.store.chain import Head
from project_manager.store.database_clock import ClockMark, DatabaseClock
from project_manager.store.events import WrittenEvents
from project_manager.store.joining import join
from project_manager.store.transaction import BatchState, Tx
from project_manager.store.write_connection import Recovery, WriteConnection
from project_manager.store.write_jobs import Job, JobRunner, Result, Work, internal_error

log = logging.getLogger(__name__)

BATCH = 128
QUEUE = 4096
RETRY_MS = 1000
RETRY_SECONDS = 10.0
"""Time after which a batch that lost its connection is not run again."""


@dataclass(frozen=True, slots=True)
class WriterHooks:
    """Callbacks of the writer besides jobs. Durations are in seconds, instants in milliseconds since the epoch.

    `due` runs at the start of a batch when work may be due, and logs its own errors. `next_due` returns the instant of
    the next due work, or None. `on_commit` runs after each commit with changes and gets the outcomes of its leases and
    its events. `on_batch` gets (jobs, seconds) of a batch, and `on_query` gets (job name, seconds). `on_lost_write`
    runs when a disk failure leaves the outcome of each job unknown.
    """

    due: Callable[[Tx], None]
    next_due: Callable[[Tx], int | None]
    on_commit: Callable[[Sequence[str], WrittenEvents], None]
    on_batch: Callable[[int, float], None]
    on_query: Callable[[str, float], None]
    on_lost_write: Callable[[BaseException], None]


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch before its commit: its instant, the clock that it stores, its state, and the new head of the chain."""

    now: int
    mark: ClockMark | None
    state: BatchState
    head: Head | None
    changed: bool


class Writer:
    """Owner of the writer thread and of the only connection that writes."""

    def __init__(
        self, session: WriteConnection, clock: Clock, hooks: WriterHooks, *, max_attempts: int, poll_interval: float
    ) -> None:
        self._session = session
        self._connection = session.connection
        self._driver_error = session.connection.dialect.driver_error
        self.clock = DatabaseClock(clock)
        self._hooks = hooks
        self._jobs = JobRunner(session, hooks.on_query, max_attempts)
        self._max_attempts = max_attempts
        self._poll_interval = poll_interval
        self._queue: queue.SimpleQueue[list[Job[Any]] | None] = queue.SimpleQueue()
        self._pending: list[Job[Any]] = []
        self._waiting = 0
        self._closing = self._ended = False
        self._next_due: int | None = None
        self._others_due: int | None = None
        self._retries = False
        self._head: Head | None = None
        self._claim_queue: Any = None
        self._rare_states: Any = None
        self.failure: str | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def depth(self) -> int:
        """Return the number of unfinished jobs."""
        return self._waiting

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def now(self) -> int:
        """Return the current instant. It is never earlier than the instant of a previous batch."""
        return self.clock.now()

    async def run(self, name: str, work: Work[Result], actor: Actor, request_id: str) -> Result:
        """Run `work` in the next batch and return its result after the commit.

        Raises QueueFull, ShuttingDown, the errors of a failed batch (see `_error_for_jobs`), and each error of `work`.
        """
        if self._closing:
            raise ShuttingDown("the server is shutting down")
        if self._waiting >= QUEUE:
            raise QueueFull(f"the write queue is full: {QUEUE} writes wait")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        if not self._pending:
            loop.call_soon(self._enqueue_gathered)
        self._pending.append(Job(name, work, actor, request_id, future))
        self._waiting += 1
        return await future

    def _enqueue_gathered(self) -> None:
        """Queue all jobs of one event loop iteration together, because a wakeup per job costs both threads more."""
        jobs, self._pending = self._pending, []
        for start in range(0, len(jobs), BATCH):
            self._queue.put(jobs[start : start + BATCH])
        if self._ended:
            self._reject_remaining()

    def others_committed(self, tx: Tx) -> None:
        """Read the instant of the next due work, which a commit of another process may have changed.

        The commit then costs this process a read, but no batch. `tx` only reads. The tail's thread calls it.
        """
        tx.now, tx.wall = self.now(), self.clock.wall_clock_if_different()
        due = self._hooks.next_due(tx)
        if not self._closing and not self._retries:
            # The read may be older than the last batch, so it must not replace the instant of that batch.
            self._others_due = due
            self._queue.put([])

    def shorten_busy_timeout(self) -> None:
        """Shorten the wait for a database lock of another process from now on, because this process is stopping."""
        self._session.shorten_timeout()

    def close(self, until: float | None = None) -> bool:
        """Finish the queued jobs, and close the connection. Blocks. Call it only once.

        Return False if the thread has not ended at `until`, an instant of `monotonic`. Its connection then stays open.
        """
        self._closing = True
        self._queue.put(None)
        has_ended = join(self._thread, until)
        self._ended = True
        self._reject_remaining()
        if has_ended:
            self._session.close()
        else:
            self._queue.put(None)  # the first one may have been taken with the jobs
        return has_ended

    def _reject_remaining(self) -> None:
        """Fail the jobs queued after the shutdown. The closing thread and the event loop may run it concurrently."""
        with suppress(queue.Empty):
            while True:
                jobs = self._queue.get_nowait() or []
                for job in jobs:
                    job.error = ShuttingDown("the server is shutting down")
                self._resolve_futures(jobs)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            batch, stopping = self._next_batch()
            if stopping and not batch:
                return
            started = time.perf_counter()
            changes = self._session.changes
            try:
                self._run_and_commit(batch)
                if self._session.changes != changes:  # only a successful write proves that writes work again
                    self.failure = None
            except Exception as error:  # noqa: BLE001 the writer survives every error, and each waiting job gets it
                self._fail(batch, error)
            self._hooks.on_batch(len(batch), time.perf_counter() - started)
            self._resolve_futures(batch)

    def _next_batch(self) -> tuple[list[Job[Any]], bool]:
        """Return the waiting jobs and whether to stop.

        The list has fewer than twice BATCH jobs. It is empty if only due work is to be checked. An empty list in the
        queue wakes the thread, because the instant of the next due work may have changed.
        """
        batch: list[Job[Any]] = []
        latest = time.perf_counter() + self._poll_interval
        try:
            while (jobs := self._queue.get(timeout=self._seconds_until_due(latest))) == []:
                pass
            while jobs is not None:
                batch += jobs
                if len(batch) >= BATCH:
                    return batch, False
                jobs = self._queue.get_nowait()
        except queue.Empty:
            return batch, False
        return batch, True

    def _seconds_until_due(self, latest: float) -> float:
        """Return the seconds until the next due work, or until `latest`, an instant of `perf_counter`."""
        rest, now = latest - time.perf_counter(), self.now()
        due = [(instant - now) / 1000 for instant in (self._next_due, self._others_due) if instant is not None]
        return max(0.001, min([rest, *due]))

    def _run_and_commit(self, batch: list[Job[Any]]) -> None:
        """Run the jobs of a batch and commit it. Run it again, but not for long, when its connection is lost.

        No caller has an answer yet, and a job only reads and writes the database. So it may run again.
        """
        until = time.perf_counter() + RETRY_SECONDS
        while True:
            done: _Batch | None = None
            try:
                done = self._run_batch(batch)
                self._session.commit()
            except self._driver_error as error:
                recovery = self._session.recover(error)
                if recovery is Recovery.LOST and time.perf_counter() < until:
                    continue
                if recovery is not Recovery.KEPT or done is None:
                    raise
            self._committed(done)
            return

    def _run_batch(self, batch: list[Job[Any]]) -> _Batch:
        """Run the jobs of a batch and write its events."""
        no_foreign_commit = self._session.begin()
        self._others_due = None  # no other process commits before the end of this batch
        shared = BatchState()
        tx = Tx(self._connection, 0, SYSTEM, "", self._max_attempts, shared)
        if no_foreign_commit:
            shared.queue, shared.rare_states = self._claim_queue, self._rare_states
        self._claim_queue = self._rare_states = None
        mark = self._set_time(tx, no_foreign_commit)
        changes = self._session.changes
        done = True
        if not no_foreign_commit or (self._next_due is not None and self._next_due <= tx.now):
            done = self._run_due(tx, shared)
        self._jobs.run_all(batch, tx, shared)
        head = self._write_events(tx, shared, no_foreign_commit)
        self._retries = not done
        self._next_due = self._hooks.next_due(tx) if done else tx.now + RETRY_MS
        return _Batch(tx.now, mark, shared, head, self._session.changes != changes)

    def _committed(self, batch: _Batch) -> None:
        """Take over the state after a commit, and report its events."""
        shared, head = batch.state, batch.head
        self.clock.committed(batch.now, batch.mark)
        self._head, self._claim_queue = head, shared.queue
        self._rare_states = None if any(shared.rare_states or ()) else shared.rare_states
        if batch.changed:
            first = 0 if head is None else head.seq - len(shared.outbox) + 1
            self._hooks.on_commit(shared.lease_outcomes, WrittenEvents(first, shared.outbox))

    def _write_events(self, tx: Tx, shared: BatchState, no_foreign_commit: bool) -> Head | None:
        """Insert the events of the batch and return the head of the hash chain, or None when it is unknown.

        `no_foreign_commit` means that no other process has committed since the last batch. The last head is then valid.
        """
        head = self._head if no_foreign_commit else None
        if not shared.outbox:
            return head
        events.add_compact_rows(tx, shared.outbox)
        return events.write(tx, shared.outbox, head or chain.head(tx))

    def _run_due(self, tx: Tx, shared: BatchState) -> bool:
        """Run the due work and return whether it has succeeded.

        A failure does not stop the jobs, because their own statements decide which tasks can be claimed.
        """
        self._connection.postpone("SAVEPOINT due")
        try:
            self._hooks.due(tx)
        except self._driver_error:
            raise
        except Exception:  # noqa: BLE001 the jobs must run anyway, and the hook has logged its error
            self._connection.execute("ROLLBACK TO due")
            shared.undo((0, 0))
            self._connection.postpone("RELEASE due")
            return False
        self._session.flush()
        self._connection.postpone("RELEASE due")
        return True

    def _set_time(self, tx: Tx, no_foreign_commit: bool) -> ClockMark | None:
        """Set the instant of the batch. Return the mark of the clock if this batch stores it, else None.

        `no_foreign_commit` means the same as in `_write_events`.
        """
        if not no_foreign_commit:
            self.clock.load(meta.clock_mark(tx))
        tx.now, tx.wall = self.clock.tick(), self.clock.wall_clock_if_different()
        mark = self.clock.mark_due(tx.now)
        if mark is not None:
            meta.store_clock(tx, mark)
        return mark

    def _fail(self, batch: list[Job[Any]], error: Exception) -> None:
        self._session.roll_back()
        self._retries = True
        self._next_due = self.now() + RETRY_MS
        reported = self._error_for_jobs(error)
        for job in batch:
            job.error = reported

    def _error_for_jobs(self, error: Exception) -> ProjectManagerError:
        """Return the error for each job of a failed batch. Log it unless the code that detects it logs it."""
        if isinstance(error, ProjectManagerError):
            return error
        if not isinstance(error, self._driver_error):
            return internal_error("batch", error)
        reported = self._session.as_domain_error(error)
        if isinstance(reported, OutcomeUnknown):
            self._hooks.on_lost_write(error)
            return reported
        self.failure = reported.message
        log.error("a batch failed: %s", error, extra={"action": "batch_failed", "code": reported.code})
        return reported

    def _resolve_futures(self, batch: list[Job[Any]]) -> None:
        """Wake all callers of a batch with one call into the event loop."""
        if not batch:
            return
        try:
            batch[0].future.get_loop().call_soon_threadsafe(self._settle, batch)
        except RuntimeError:
            log.info("%d finished writes have no caller: their event loop has ended", len(batch))

    def _settle(self, batch: list[Job[Any]]) -> None:
        self._waiting -= len(batch)
        for job in batch:
            job.settle()
