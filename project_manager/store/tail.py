"""Tail of the outbox: the events of all processes by number, in the order of commits.

The writer of this process hands over its own events after each commit. They need not be read when they follow the last
event that the tail has passed on: then no other process has inserted an event in between. Commits of other processes
change the version of the database. The tail reads it after a notification, or after the `poll_interval` of the database
without an own event (figures in docs/performance.md). One process writes at a time and commits the event numbers in
order. So reading by number misses no event.
"""

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from project_manager.domain.actors import SYSTEM
from project_manager.observability.logging import RateLimitedWarning
from project_manager.store import events, meta
from project_manager.store.connection import Connection
from project_manager.store.events import EventRow, WrittenEvents
from project_manager.store.joining import join
from project_manager.store.transaction import Tx

log = logging.getLogger(__name__)

POLL_INTERVAL = 0.02
MIN_POLL_INTERVAL = 0.01
"""Seconds between two reads during a series of commits, so that one read gets the events of several commits."""

RETRY_SECONDS = 0.2
"""Pause after an error of the database."""

AT_ONCE = 500
KEPT_COMMITS = 64
"""Maximum number of own commits that wait for the tail. It reads the events of older and of large commits."""

Receive = Callable[[list[EventRow]], None]
BeginEpoch = Callable[[str, int], None]


class TailSession(Protocol):
    """A connection that reads, each statement on its own, and sees the commits of others."""

    @property
    def connection(self) -> Connection: ...

    @property
    def poll_interval(self) -> float:
        """Return the seconds after which to look for commits without a notification."""

    def listen(self, on_commit: Callable[[], None]) -> None:
        """Call `on_commit` from now on when another process has committed, if the database notifies."""

    def version(self) -> int:
        """Return a number that changes when another connection commits. Raises the driver's error."""

    def epoch(self) -> str | None:
        """Return the epoch at the last `version`, or None if it does not change while a process runs."""

    def may_have_new_epoch(self) -> bool:
        """Return whether events of this process may belong to another epoch than that of the last `version`."""

    def why_unreadable(self) -> str | None:
        """Return why this process may not read, or None."""

    def note(self, error: BaseException) -> None:
        """Take note of an error of the driver."""

    def stop(self) -> None:
        """End the wait for notifications soon. Does not wait for the database."""

    def close(self) -> None: ...


class EventReader:
    """Thread that passes each new event once and in order to `receive`."""

    def __init__(self, session: TailSession, *, foreign_commit: Callable[[Tx], None]) -> None:
        self._session = session
        self._on_foreign_commit = foreign_commit
        self._wakeup: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._own_events: deque[WrittenEvents] = deque(maxlen=KEPT_COMMITS)
        # Two counters, because only one thread may increment each of them.
        self._own_commits = 0
        self._commits_seen = 0
        self._trouble = RateLimitedWarning(log, "tail_failed", "cannot read events")
        self._moved = RateLimitedWarning(log, "database_moved", "writes are refused", logging.ERROR)
        self._notified = threading.Event()
        self._unsure = False
        self._ended = threading.Event()
        self._receive: Receive | None = None
        self._on_epoch: BeginEpoch | None = None
        self._thread = threading.Thread(target=self._run, name="tail", daemon=True)
        tx = self._tx()
        self.epoch = meta.epoch(tx)
        self.head = events.head(tx)

    @property
    def generation(self) -> int:
        """Return a number that changes after each commit of any process."""
        return self._own_commits + self._commits_seen

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()
        self._session.listen(self._others_committed)

    def follow(self, receive: Receive, on_epoch: BeginEpoch | None = None) -> None:
        """Pass all new events to `receive` from now on. The tail thread calls it.

        `on_epoch` gets the id of a new epoch and the number of its last event. The next events come after that one.
        """
        self._receive, self._on_epoch = receive, on_epoch

    def committed(self, written: WrittenEvents) -> None:
        """Take over the events of a commit of this process. Only the writer's thread calls it."""
        self._own_commits += 1
        if 0 < len(written.rows) <= AT_ONCE:
            self._own_events.append(written)
            if self._wakeup.empty():
                self._wakeup.put(None)

    def _others_committed(self) -> None:
        self._notified.set()
        if self._wakeup.empty():
            self._wakeup.put(None)

    def close(self, until: float | None = None) -> bool:
        """Stop the thread and close the connection. Blocks.

        Return False if the thread has not ended at `until`, an instant of `monotonic`. Its connection then stays open.
        """
        self._ended.set()
        self._wakeup.put(None)
        self._session.stop()
        has_ended = join(self._thread, until)
        if has_ended:
            self._session.close()
        return has_ended

    def _run(self) -> None:
        try:
            self._poll_until_closed()
        except Exception:
            log.exception("the event reader stopped", extra={"action": "tail_stopped"})

    def _poll_until_closed(self) -> None:
        version: int | None = None
        while not self._ended.is_set():
            woken = self._was_woken()
            notified = self._was_notified()
            if not self._may_read():
                continue
            try:
                in_order = woken and not self._session.may_have_new_epoch() and self._pass_own_events()
                if in_order and not notified:
                    self._unsure = True
                    self._ended.wait(MIN_POLL_INTERVAL)
                    continue
                seen = self._version()
                self._check_epoch()
                if seen != version:  # checked also after own commits, because another process may have committed too
                    self._commits_seen += 1
                if seen != version or woken:
                    self._read()
                    self._unsure = True
                    self._ended.wait(MIN_POLL_INTERVAL)
                elif self._unsure:
                    # Another process may have made some of these commits, with a lease that expires soon.
                    self._on_foreign_commit(self._tx())
                    self._unsure = False
                version = seen
                self._trouble.recovered()
            except self._session.connection.dialect.driver_error as error:
                self._session.note(error)
                self._trouble.failed(error)
                self._ended.wait(RETRY_SECONDS)

    def _check_epoch(self) -> None:
        """Continue at the head of the database if it has begun a new epoch, with event numbers that may be lower."""
        epoch = self._session.epoch()
        if epoch is None or epoch == self.epoch:
            return
        self._own_events.clear()
        self._commits_seen += 1
        self.head = events.head(self._tx())
        self.epoch = epoch
        if self._on_epoch is not None:
            self._on_epoch(epoch, self.head)

    def _may_read(self) -> bool:
        """Return whether this process may read the database. Log when it no longer may, and when it may again."""
        reason = self._session.why_unreadable()
        if reason is None:
            self._moved.recovered()
            return True
        self._moved.failed(reason)
        return False

    def _was_notified(self) -> bool:
        """Return whether another process has committed since the last call. A commit after it is noticed next time."""
        notified = self._notified.is_set()
        if notified:
            self._notified.clear()
        return notified

    def _was_woken(self) -> bool:
        try:
            self._wakeup.get(timeout=POLL_INTERVAL if self._unsure else self._session.poll_interval)
        except queue.Empty:
            return False
        return True

    def _pass_own_events(self) -> bool:
        """Pass on the events that the writer has handed over. Return False when others have to be read before them.

        A read may have passed on some of them already.
        """
        rows: list[EventRow] = []
        passed = self.head
        complete = True
        while complete and self._own_events:
            written = self._own_events.popleft()
            if written.first == passed + 1:
                rows += written.event_rows()
                passed = written.last
            else:
                complete = written.last <= passed
        for start in range(0, len(rows), AT_ONCE):
            self._pass_on(rows[start : start + AT_ONCE])
        return complete

    def _read(self) -> None:
        while True:
            rows = events.after(self._tx(), self.head, AT_ONCE)
            if rows:
                # A commit after the check of the version may have inserted some of them.
                self._commits_seen += 1
                self._pass_on(rows)
            if len(rows) < AT_ONCE:
                return

    def _pass_on(self, rows: list[EventRow]) -> None:
        self.head = rows[-1].seq
        if self._receive is not None:
            self._receive(rows)

    def _version(self) -> int:
        return self._session.version()

    def _tx(self) -> Tx:
        return Tx(self._session.connection, 0, SYSTEM, "", 0)
