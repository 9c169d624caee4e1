"""The connection of the writer to a PostgreSQL server, which survives the loss of the server."""

import logging
import secrets
from collections.abc import Callable
from typing import NamedTuple

from psycopg.errors import LockNotAvailable

from project_manager.clock import Clock, monotonic
from project_manager.domain.errors import ProjectManagerError
from project_manager.domain.service_errors import WriteUnconfirmed
from project_manager.store.postgres import driver
from project_manager.store.postgres import outage as outages
from project_manager.store.postgres.figures import WriterLockFigures
from project_manager.store.postgres.outage import Outage
from project_manager.store.postgres.probing_connection import AnswerTimeout
from project_manager.store.postgres.promotion import Promotion
from project_manager.store.postgres.timelines import Timelines
from project_manager.store.write_connection import Recovery

log = logging.getLogger(__name__)

STALE_MARKS_MS = 24 * 3_600_000
CLOSE_SECONDS = 0.5
"""Time for the deletion of the mark at the end."""

# The clock is read outside the subquery, and so after the lock is held.
_LOCK = (
    "SELECT commits, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT),"
    " current_setting('synchronous_standby_names') <> ''"
    " AND current_setting('synchronous_commit') NOT IN ('off', 'local')"
    " FROM (SELECT commits FROM counter WHERE id = 1 FOR UPDATE) AS locked"
)
_CLOSE = (
    "WITH mark AS (INSERT INTO batch_marks (writer, batch, at) VALUES ($1, $2, $3)"
    " ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch, at = excluded.at)"
    " UPDATE counter SET commits = commits + 1, seq = greatest(seq, (SELECT max(seq) FROM events))"
    " WHERE id = 1 RETURNING pg_notify('project_manager_commits', $1)"
)
_MARK = "SELECT batch FROM batch_marks WHERE writer = $1"
_TOUCH_MARK = "UPDATE batch_marks SET at = at WHERE writer = $1"
_NOT_CONFIRMED = "the standby of the database has not confirmed the commit"
# `promotion.py` deletes the marks of promotions. A process that was away for longer still needs them.
_DELETE_MARKS = "DELETE FROM batch_marks WHERE writer = $1 OR (at < $2 AND writer NOT LIKE 'timeline %')"


class Clocks(NamedTuple):
    """The clock of the database, and the receiver of the instants of the server in milliseconds since the epoch."""

    database: Clock
    on_server_time: Callable[[int], None]


class PostgresWriteConnection:
    """The only connection of this process that writes. A lock on one row makes the batches of all instances serial.

    Each batch that changes something stores its number as the mark of `writer`. After a connection is lost during a
    COMMIT, the mark shows whether the server has kept the batch. The first batch of each connection is preceded by the
    check for a promotion.
    """

    def __init__(
        self, url: str, writer: str, clocks: Clocks, outage: Outage, timelines: Timelines, figures: WriterLockFigures
    ) -> None:
        self.connection = driver.Connection(url, timelines=timelines)
        self._writer = writer
        self._clocks = clocks
        self._outage = outage
        self._timelines = timelines
        self._lock_figures = figures
        self._is_checked = self._is_synchronous = False
        self._known_version: int | None = None
        self._version = self._now = 0
        self._changes_before = 0
        self._batch = secrets.randbits(48)
        self._committing = False

    @property
    def changes(self) -> int:
        return self.connection.changes

    def trust_changes(self, trusts: bool) -> None:
        self.connection.trusts_changes = trusts

    def flush(self) -> None:
        self.connection.flush()

    @property
    def is_aborted(self) -> bool:
        return self.connection.is_aborted

    def begin(self) -> bool:
        self._committing = False
        if self._timelines.is_outdated(self.connection.server):
            self._reconnect()
        try:
            self._lock()
        except driver.DIALECT.driver_error:
            if not self.connection.is_lost:
                raise
            self._reconnect()
            self._lock()
        self._changes_before = self.changes
        return self._version == self._known_version

    def commit(self) -> None:
        if self.changes != self._changes_before:
            self._batch += 1
            self.connection.postpone(_CLOSE, (self._writer, self._batch, self._now))
            self._version += 1
        self._committing = True
        until = monotonic() + outages.FAILOVER_SECONDS
        if not self._commit_until(until):
            self._wait_for_standby(until)
        self._lock_figures.released()
        self._known_version = self._version
        self._timelines.record_batch(self._version, is_synchronous=self._is_synchronous)

    def recover(self, error: Exception) -> Recovery:
        if not self.connection.is_lost:
            return Recovery.FAILED
        log.warning("the connection of the writer was lost: %s", error, extra={"action": "database_lost"})
        try:
            kept = self._find_batch()
        except driver.DIALECT.driver_error as lost:
            if not self._committing:
                raise
            raise WriteUnconfirmed("the connection to the database was lost during the commit") from lost
        return Recovery.KEPT if kept else Recovery.LOST

    def roll_back(self) -> None:
        self._known_version = None
        self.connection.forget_postponed()
        if self.connection.in_transaction:
            try:
                self.connection.execute("ROLLBACK")
                self._lock_figures.released()
            except driver.DIALECT.driver_error:
                log.exception("rollback failed", extra={"action": "rollback_failed"})

    def ends_transaction(self, error: Exception) -> bool:
        """Return whether the connection is lost, or the other jobs would fail with the same error."""
        return not self.connection.in_transaction or driver.has_cause_outside(error)

    def as_domain_error(self, error: Exception) -> ProjectManagerError:
        return driver.as_domain_error(error)

    def shorten_timeout(self) -> None:
        """Stop waiting for a lost server, because this process is stopping."""
        self._outage.stop()

    def close(self) -> None:
        try:
            if not self.connection.is_lost:
                with self.connection.last_write(CLOSE_SECONDS):
                    self.connection.execute(_DELETE_MARKS, (self._writer, self._now - STALE_MARKS_MS))
        except driver.DIALECT.driver_error as error:  # another process deletes the mark later
            log.info("cannot delete the mark of this process: %s", error, extra={"action": "mark_left"})
        self.connection.close()

    def _lock(self) -> None:
        """Begin a transaction that holds the lock of the writers."""
        if not self._is_checked:
            self._check_server()
        self._begin_with_lock()
        self._timelines.record_batch(self._version, is_synchronous=self._is_synchronous)
        self._outage.end()

    def _begin_with_lock(self) -> None:
        self.connection.postpone("BEGIN")
        asked = monotonic()
        self._version, self._now, self._is_synchronous = self.connection.row(_LOCK)
        self._lock_figures.taken(asked)
        self._clocks.on_server_time(self._now)

    def _check_server(self) -> None:
        """Record a promotion of the server before the first batch of a connection."""
        self._is_checked = self._timelines.is_written(self.connection.server) and not self.connection.is_new_server
        if self._is_checked:
            return
        self._begin_with_lock()
        promotion = Promotion(self.connection, self._timelines, self._clocks.database, self._now)
        if promotion.record():
            self.connection.commit(outages.FAILOVER_SECONDS)
        else:
            self.connection.execute("ROLLBACK")
        promotion.accept()
        self._is_checked = True

    def _reconnect(self) -> None:
        """Connect again. Wait for a server as the outage allows. Raises the driver's error."""
        self._known_version = None
        self._is_checked = False
        self._lock_figures.lost()
        self.connection.reconnect(self._outage)
        self._lock_figures.reconnections += 1
        self._timelines.connections += 1

    def _find_batch(self) -> bool:
        """Connect again, and return whether the lost batch is in the database.

        The connection can be lost repeatedly. The lock can be held for long, by the lost session that waits for the
        standby or by another one.
        """
        until = monotonic() + outages.FAILOVER_SECONDS
        self._reconnect()
        while True:
            try:
                return self._committing and self._is_kept()
            except driver.DIALECT.driver_error as error:
                can_retry = self.connection.is_lost or isinstance(error, LockNotAvailable)
                if not can_retry or monotonic() >= until:
                    raise
            if self.connection.is_lost:
                self._reconnect()
            else:
                self.roll_back()

    def _is_kept(self) -> bool:
        """Return whether the last batch is in the database. With the lock, its old transaction is over."""
        self._lock()
        row = self.connection.row(_MARK, (self._writer,))
        self.connection.execute("ROLLBACK")
        kept = row is not None and row[0] == self._batch
        if kept:  # perhaps only by the server that has just restarted
            self._wait_for_standby(monotonic() + outages.FAILOVER_SECONDS)
        return kept

    def _wait_for_standby(self, until: float) -> None:
        """Wait until the standby has the last commit. An administrator has cancelled the wait of that commit itself.

        A later commit that the standby has confirmed comes after it. Raises WriteUnconfirmed at `until`.
        """
        while not self._is_confirmed(until):
            if monotonic() > until:
                raise WriteUnconfirmed(_NOT_CONFIRMED)

    def _is_confirmed(self, until: float) -> bool:
        """Make a commit that changes nothing, and return whether the standby has it, and so all earlier ones.

        Raises WriteUnconfirmed if it fails, because the primary has the earlier ones in any case.
        """
        try:
            self.connection.execute("BEGIN")
            self.connection.execute(_TOUCH_MARK, (self._writer,))
            return self._commit_until(until)
        except driver.DIALECT.driver_error as error:
            if self.connection.is_lost:
                raise
            raise WriteUnconfirmed(_NOT_CONFIRMED) from error

    def _commit_until(self, until: float) -> bool:
        """Commit, and return whether the standby has the commit too. Raises WriteUnconfirmed at `until`."""
        try:
            return self.connection.commit(max(until - monotonic(), 0.0))
        except AnswerTimeout as error:
            raise WriteUnconfirmed(_NOT_CONFIRMED) from error
