"""Tail of the outbox: reads the events of all processes by number, in the order of commits.

The writer of this process wakes it. Commits of other processes change `PRAGMA data_version`, which the tail reads every
20 ms (figures in docs/performance.md). SQLite has one writer at a time and commits the event numbers in order. So
reading by number misses no event.
"""

import logging
import queue
import threading
from collections.abc import Callable

from project_manager.domain.actors import SYSTEM
from project_manager.observability.logging import RateLimitedWarning
from project_manager.store import events, meta
from project_manager.store.events import EventRow
from project_manager.store.sqlite import driver
from project_manager.store.sqlite.file_watch import FileWatch
from project_manager.store.transaction import Tx

log = logging.getLogger(__name__)

POLL_INTERVAL = 0.02
MIN_POLL_INTERVAL = 0.01
"""Seconds between two reads during a series of commits, so that one read gets the events of several commits."""

AT_ONCE = 500

Receive = Callable[[list[EventRow]], None]


class EventReader:
    """Thread that passes each new event once and in order to `receive`."""

    def __init__(self, path: str, watch: FileWatch, *, foreign_commit: Callable[[], None]) -> None:
        self._watch = watch
        self._connection = driver.connect(path, read_only=True)
        self._on_foreign_commit = foreign_commit
        self._wakeup: queue.SimpleQueue[None] = queue.SimpleQueue()
        # Two counters, because only one thread may increment each of them.
        self._own_commits = 0
        self._commits_seen = 0
        self._trouble = RateLimitedWarning(log, "tail_failed", "cannot read events")
        self._moved = RateLimitedWarning(log, "database_moved", "writes are refused", logging.ERROR)
        self._ended = threading.Event()
        self._receive: Receive | None = None
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

    def follow(self, receive: Receive) -> None:
        """Pass all new events to `receive` from now on. The tail thread calls it."""
        self._receive = receive

    def wake(self) -> None:
        """Notify the tail that the writer of this process has committed."""
        self._own_commits += 1
        if self._wakeup.empty():
            self._wakeup.put(None)

    def close(self) -> None:
        """Stop the thread and close the connection. Blocks."""
        self._ended.set()
        self._wakeup.put(None)
        if self._thread.ident is not None:
            self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        try:
            self._poll_until_closed()
        except Exception:
            log.exception("the event reader stopped", extra={"action": "tail_stopped"})

    def _poll_until_closed(self) -> None:
        version: int | None = None
        unsure = False
        while not self._ended.is_set():
            woken = self._was_woken()
            if not self._files_unchanged():
                continue
            try:
                seen = self._data_version()
                if seen != version:  # checked also after own commits, because another process may have committed too
                    self._commits_seen += 1
                if seen != version or woken:
                    self._read()
                    unsure = True
                    self._ended.wait(MIN_POLL_INTERVAL)
                elif unsure:
                    # Another process may have made some of these commits, with a lease that expires soon.
                    self._on_foreign_commit()
                    unsure = False
                version = seen
                self._trouble.recovered()
            except driver.DriverError as error:
                self._watch.note(error)
                self._trouble.failed(error)

    def _files_unchanged(self) -> bool:
        """Return whether the database files are unchanged. Log each change and its end."""
        change = self._watch.refresh()
        if change is None:
            self._moved.recovered()
            return True
        self._moved.failed(f"the {change.message} while this server runs ({self._watch.path})")
        return False

    def _was_woken(self) -> bool:
        try:
            self._wakeup.get(timeout=POLL_INTERVAL)
        except queue.Empty:
            return False
        return True

    def _read(self) -> None:
        while True:
            rows = events.after(self._tx(), self.head, AT_ONCE)
            if not rows:
                return
            self.head = rows[-1].seq
            if self._receive is not None:
                self._receive(rows)
            if len(rows) < AT_ONCE:
                return

    def _data_version(self) -> int:
        return driver.data_version(self._connection)

    def _tx(self) -> Tx:
        return Tx(self._connection.execute, 0, SYSTEM, "", 0)
