"""The connections of the writer, of a reader and of the tail to a PostgreSQL server."""

import logging
from collections.abc import Callable

from project_manager.clock import monotonic
from project_manager.domain.errors import ProjectManagerError
from project_manager.store.postgres import driver

log = logging.getLogger(__name__)

# The clock is read outside the subquery, and so after the lock is held.
_LOCK = (
    "SELECT commits, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
    " FROM (SELECT commits FROM counter WHERE id = 1 FOR UPDATE) AS locked"
)
_COUNT = "UPDATE counter SET commits = commits + 1 WHERE id = 1"
_VERSION = "SELECT commits FROM counter WHERE id = 1"
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {}"


class PostgresWriteConnection:
    """The only connection of this process that writes. A lock on one row makes the batches of all instances serial.

    `on_server_time` gets the instant of the server at the start of each batch, in milliseconds since the epoch.
    """

    def __init__(self, url: str, on_server_time: Callable[[int], None]) -> None:
        self.connection = driver.Connection(url)
        self._on_server_time = on_server_time
        self._known_version: int | None = None
        self._version = 0
        self._begun_at = 0

    @property
    def changes(self) -> int:
        return self.connection.changes

    @property
    def is_aborted(self) -> bool:
        return self.connection.is_aborted

    def begin(self) -> bool:
        self.connection.execute("BEGIN")
        self._version, now = self.connection.row(_LOCK)
        self._on_server_time(now)
        self._begun_at = self.changes
        return self._version == self._known_version

    def commit(self) -> None:
        if self.changes != self._begun_at:
            self.connection.execute(_COUNT)
            self._version += 1
        self.connection.execute("COMMIT")
        self._known_version = self._version

    def roll_back(self) -> None:
        self._known_version = None
        if self.connection.in_transaction:
            try:
                self.connection.execute("ROLLBACK")
            except driver.DIALECT.driver_error:
                log.exception("rollback failed", extra={"action": "rollback_failed"})

    def ends_transaction(self, error: Exception) -> bool:
        """Return whether the connection or the whole transaction is lost, and not only the last statement."""
        return not self.connection.is_aborted

    def as_domain_error(self, error: Exception) -> ProjectManagerError:
        return driver.as_domain_error(error)

    def shorten_timeout(self) -> None:
        """Do nothing: the server itself limits the wait."""

    def close(self) -> None:
        self.connection.close()


class PostgresReadSession:
    """A connection that reads one snapshot at a time."""

    def __init__(self, url: str) -> None:
        self.progressed = 0.0
        self.connection = driver.Connection(url)

    def begin(self, seconds: float) -> None:
        self.connection.run_script(_BEGIN_READ.format(_milliseconds(seconds)))

    def allow(self, seconds: float) -> None:
        self.connection.run_script(f"SET LOCAL statement_timeout = {_milliseconds(seconds)}")

    def end(self) -> None:
        self.progressed = monotonic()
        if self.connection.in_transaction:
            self.connection.run_script("ROLLBACK")

    def as_domain_error(self, error: BaseException) -> ProjectManagerError:
        return driver.as_domain_error(error)

    def close(self) -> None:
        self.connection.close()


class PostgresTailSession:
    """A connection that sees whether another connection has committed."""

    def __init__(self, url: str) -> None:
        self.connection = driver.Connection(url)

    def version(self) -> int:
        return int(self.connection.row(_VERSION)[0])

    def obstacle(self) -> str | None:
        return None

    def note(self, error: BaseException) -> None:
        """Do nothing: only the files of SQLite report damage to this process."""

    def close(self) -> None:
        self.connection.close()


def _milliseconds(seconds: float) -> int:
    """Return the deadline of a statement. 0 would mean none."""
    return max(1, int(seconds * 1000))
