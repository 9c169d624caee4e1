"""The one thread that writes, with group commit.

Jobs wait in a bounded queue. The thread takes what waits, opens one transaction, does the work that is due
(expired leases), runs each job, and commits once for all of them: nothing is answered before it is durable,
and the cost of the fsync is shared. One failing job harms no other: what it wrote is undone. When
SQLite itself has given up the transaction (disk full, I/O error) every job of the batch gets the error,
because none of it was kept.
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from project_manager.clock import Clock
from project_manager.domain.actors import SYSTEM, Actor
from project_manager.domain.errors import (
    DatabaseUnavailable,
    Internal,
    OutcomeUnknown,
    ProjectManagerError,
    QueueFull,
    ShuttingDown,
)
from project_manager.observability.logging import caused_by
from project_manager.store import chain, events, meta
from project_manager.store.chain import Head
from project_manager.store.database_clock import DatabaseClock, Mark
from project_manager.store.sqlite import driver
from project_manager.store.sqlite.file_watch import FileWatch
from project_manager.store.transaction import Shared, Tx

log = logging.getLogger(__name__)

BATCH = 128
QUEUE = 4096
RETRY_MS = 1000
TURN_SECONDS = 0.005

Result = TypeVar("Result")
Work = Callable[[Tx], Result]


@dataclass(slots=True)
class Job(Generic[Result]):
    """One piece of work and who waits for it."""

    name: str
    work: Work[Result]
    actor: Actor
    request_id: str
    future: asyncio.Future[Result]
    outcome: Result | None = None
    error: BaseException | None = None

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.outcome)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Duties:
    """What the writer does besides jobs. `due` runs at the head of every batch; `next_due` says when to look
    again (milliseconds since the epoch, or None); `committed` is called after each commit that changed
    something, with what became of leases in it; `measured` gets (jobs, seconds) of a batch and `timed` (job name,
    seconds). `lost` is called when the disk has failed during a write, so that no job can be answered truly.
    """

    due: Callable[[Tx], None]
    next_due: Callable[[Tx], int | None]
    committed: Callable[[Sequence[str]], None]
    measured: Callable[[int, float], None]
    timed: Callable[[str, float], None]
    lost: Callable[[BaseException], None]


@contextmanager
def _in_turn(batch: Sequence[Job[Any]]) -> Iterator[None]:
    """The event loop stands still meanwhile, for TURN_SECONDS at most: two threads at work at once take the interpreter
    from each other at every statement. For one job that would cost more than it spares.
    """
    turn = threading.Lock()
    with turn:
        if len(batch) > 1:
            with suppress(RuntimeError):  # the loop has ended
                batch[0].future.get_loop().call_soon_threadsafe(turn.acquire, True, TURN_SECONDS)
        yield


class Writer:
    """Owns the only connection that writes."""

    def __init__(
        self, path: str, clock: Clock, duties: Duties, watch: FileWatch, *, max_attempts: int, look_every: float
    ) -> None:
        self._connection = driver.connect(path)
        self._watch = watch
        self.clock = DatabaseClock(clock)
        self._duties = duties
        self._max_attempts = max_attempts
        self._look_every = look_every
        self._queue: queue.SimpleQueue[list[Job[Any]] | None] = queue.SimpleQueue()
        self._gathered: list[Job[Any]] = []
        self._waiting = 0
        self._closing = self._ended = False
        self._hurried = self._lost = False
        self._next_due: int | None = None
        self._known_version: int | None = None
        self._head: Head | None = None
        self.failure: str | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def depth(self) -> int:
        """Jobs that are not answered yet."""
        return self._waiting

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def now(self) -> int:
        """The present instant, never before one that a batch has used."""
        return self.clock.now()

    async def run(self, name: str, work: Work[Result], actor: Actor, request_id: str) -> Result:
        """Runs `work` in the next batch; returns after the commit. Raises QueueFull, ShuttingDown, or what `work`
        raises.
        """
        if self._closing:
            raise ShuttingDown("the server is stopping")
        if self._waiting >= QUEUE:
            raise QueueFull(f"{QUEUE} writes wait already")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        if not self._gathered:
            loop.call_soon(self._hand_over)
        self._gathered.append(Job(name, work, actor, request_id, future))
        self._waiting += 1
        return await future

    def _hand_over(self) -> None:
        """All jobs of one turn of the loop at once: to wake the writer for each would cost both threads more."""
        jobs, self._gathered = self._gathered, []
        for start in range(0, len(jobs), BATCH):
            self._queue.put(jobs[start : start + BATCH])
        if self._ended:
            self._refuse_the_rest()

    def look(self) -> None:
        """Runs what is due, now. Another process may have taken a lease that ends before the next look."""
        if not self._closing:
            self._queue.put([])

    def hurry(self) -> None:
        """From now on another process that holds the database is hardly waited for: this one is about to end."""
        self._hurried = True

    def close(self) -> None:
        """Finishes what waits, writes the log back into the database file, closes. Blocks; called once."""
        self._closing = True
        self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join()
        self._ended = True
        self._refuse_the_rest()
        try:
            self._connection.execute(driver.WAIT_BRIEFLY)
            if not self._lost:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except driver.DriverError:
            log.info("the write-ahead log stays for the next start: another process uses it")
        self._connection.close()

    def _refuse_the_rest(self) -> None:
        """Answers jobs that came after the end. The thread that closes and the event loop may do so at once."""
        with suppress(queue.Empty):
            while True:
                jobs = self._queue.get_nowait() or []
                for job in jobs:
                    job.error = ShuttingDown("the server is stopping")
                self._answer(jobs)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            batch, stopping = self._take()
            if stopping and not batch:
                return
            started = time.perf_counter()
            changes = self._connection.total_changes
            try:
                self._commit(batch)
                if self._connection.total_changes != changes:  # only a write shows that writing works again
                    self.failure = None
            except Exception as error:  # noqa: BLE001 the writer must outlive every fault; each waiting job gets it
                self._fail(batch, error)
            self._duties.measured(len(batch), time.perf_counter() - started)
            self._answer(batch)

    def _take(self) -> tuple[list[Job[Any]], bool]:
        """The jobs that wait, fewer than twice BATCH; empty when it is only time to look for what is due. True when
        it is time to stop.
        """
        batch: list[Job[Any]] = []
        try:
            jobs = self._queue.get(timeout=self._patience())
            while jobs is not None:
                batch += jobs
                if len(batch) >= BATCH:
                    return batch, False
                jobs = self._queue.get_nowait()
        except queue.Empty:
            return batch, False
        return batch, True

    def _patience(self) -> float:
        if self._next_due is None:
            return self._look_every
        return min(self._look_every, max(0.001, (self._next_due - self.now()) / 1000))

    def _commit(self, batch: list[Job[Any]]) -> None:
        if self._lost:
            raise DatabaseUnavailable("the disk has failed during a write, and this process writes no more")
        self._watch.check()
        execute = self._connection.execute
        if self._hurried:
            execute(driver.WAIT_BRIEFLY)
        execute(driver.BEGIN_WRITE)
        shared = Shared()
        tx = Tx(execute, 0, SYSTEM, "", self._max_attempts, shared)
        version = driver.data_version(self._connection)
        ours = version == self._known_version
        mark = self._set_time(tx, ours)
        changes = self._connection.total_changes
        done = True
        if not ours or (self._next_due is not None and self._next_due <= tx.now):
            done = self._do_what_is_due(tx, shared)
        with _in_turn(batch):
            self._run_all(batch, tx, shared)
            head = self._write_events(tx, shared, ours)
        self._next_due = self._duties.next_due(tx) if done else tx.now + RETRY_MS
        changed = self._connection.total_changes != changes
        execute("COMMIT")
        self._watch.check()  # a write into a file that is gone is lost: do not acknowledge it
        self.clock.committed(tx.now, mark)
        self._known_version, self._head = version, head
        if changed:
            self._duties.committed(shared.turns)

    def _write_events(self, tx: Tx, shared: Shared, ours: bool) -> Head | None:
        """Insert the events of the batch. Returns the head of the hash chain, None when it is not known.

        `ours`: no other process has committed since the last batch, so that its head is still the end of the chain.
        """
        head = self._head if ours else None
        if not shared.outbox:
            return head
        return events.write(tx, shared.outbox, head or chain.head(tx))

    def _do_what_is_due(self, tx: Tx, shared: Shared) -> bool:
        """False after a fault, which must not stop the jobs: who may claim is judged by their own statements."""
        tx.execute("SAVEPOINT due")
        try:
            self._duties.due(tx)
        except driver.DriverError:
            raise
        except Exception as error:  # noqa: BLE001 as above
            self._fault("due", error)
            tx.execute("ROLLBACK TO due")
            shared.undo((0, 0))
            tx.execute("RELEASE due")
            return False
        tx.execute("RELEASE due")
        return True

    def _run_all(self, batch: list[Job[Any]], tx: Tx, shared: Shared) -> None:
        """Runs the jobs without a savepoint for each, which would cost a tenth of a claim: most of those that fail have
        not written yet. When one had, all are undone and run again, each in its own savepoint.
        """
        mark = shared.mark
        tx.execute("SAVEPOINT jobs")
        try:
            left_clean = [self._run_job(job, tx, shared) for job in batch]
            if all(left_clean):
                return
            tx.execute("ROLLBACK TO jobs")
            shared.undo(mark)
            if len(batch) > 1:
                for job in batch:
                    self._run_in_savepoint(job, tx, shared)
        finally:
            caused_by("", None)

    def _run_in_savepoint(self, job: Job[Any], tx: Tx, shared: Shared) -> None:
        mark = shared.mark
        tx.execute("SAVEPOINT job")
        if not self._run_job(job, tx, shared):
            tx.execute("ROLLBACK TO job")
            shared.undo(mark)
        tx.execute("RELEASE job")

    def _run_job(self, job: Job[Any], batch: Tx, shared: Shared) -> bool:
        """False when it failed and left something behind that must be undone."""
        started = time.perf_counter()
        mark, changes = shared.mark, self._connection.total_changes
        job.error = None
        caused_by(job.request_id, job.actor.token_id)
        try:
            job.outcome = job.work(
                Tx(batch.execute, batch.now, job.actor, job.request_id, self._max_attempts, shared, batch.wall)
            )
        except ProjectManagerError as error:
            job.error = error
        except driver.DriverError as error:
            if driver.ends_transaction(error) or not self._connection.in_transaction:
                raise
            job.error = self._fault(job.name, error)
        except Exception as error:  # noqa: BLE001 one job's fault is its own; the others of the batch go on
            job.error = self._fault(job.name, error)
        self._duties.timed(job.name, time.perf_counter() - started)
        return job.error is None or (shared.mark == mark and self._connection.total_changes == changes)

    def _set_time(self, tx: Tx, ours: bool) -> Mark | None:
        """Set the instant of the batch. Return the mark of the clock when it was stored.

        `ours`: no other process has written since the last batch.
        """
        if not ours:
            self.clock.load(meta.clock_mark(tx))
        tx.now, tx.wall = self.clock.tick(), self.clock.wall_apart()
        mark = self.clock.mark_due(tx.now)
        if mark is not None:
            meta.store_clock(tx, mark)
        return mark

    def _fault(self, name: str, error: BaseException) -> Internal:
        log.error("a write failed", exc_info=error, extra={"action": "write_failed", "operation": name})
        return Internal("the write failed by a fault of the server; nothing of it was kept")

    def _fail(self, batch: list[Job[Any]], error: Exception) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except driver.DriverError:
                log.exception("rollback failed", extra={"action": "rollback_failed"})
        self._next_due, self._known_version = self.now() + RETRY_MS, None
        meaning = self._meaning(error)
        for job in batch:
            job.error = meaning

    def _meaning(self, error: Exception) -> ProjectManagerError:
        """Return the error that each job of a failed batch gets, and log it unless it is logged where it is found."""
        if isinstance(error, ProjectManagerError):
            return error
        if not isinstance(error, driver.DriverError):
            return self._fault("batch", error)
        self._watch.note(error)
        if driver.is_lost_write(error):
            # Linux forgets the pages of a failed fsync: a later one succeeds, and shows nothing about them.
            self._lost = True
            self._duties.lost(error)
            return OutcomeUnknown("the disk failed during the write: it is not known whether the write was kept")
        meaning = driver.as_domain_error(error)
        self.failure = meaning.message
        log.error("a batch was not kept: %s", error, extra={"action": "batch_failed", "code": meaning.code})
        return meaning

    def _answer(self, batch: list[Job[Any]]) -> None:
        """Wakes everybody who waits with one call into the loop."""
        if not batch:
            return
        try:
            batch[0].future.get_loop().call_soon_threadsafe(self._settle, batch)
        except RuntimeError:
            log.info("nobody waits for %d finished writes: their loop has ended", len(batch))

    def _settle(self, batch: list[Job[Any]]) -> None:
        self._waiting -= len(batch)
        for job in batch:
            job.settle()
