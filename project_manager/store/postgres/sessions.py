"""The connections of the writer, of a reader and of the tail to PostgreSQL."""

import logging

from project_manager.clock import monotonic
from project_manager.domain.errors import ProjectManagerError
from project_manager.store.postgres import driver

log = logging.getLogger(__name__)

_LOCK = "SELECT commits FROM counter WHERE id = 1 FOR UPDATE"
_COUNT = "UPDATE counter SET commits = commits + 1 WHERE id = 1"
_VERSION = "SELECT commits FROM counter WHERE id = 1"


class PostgresWriteConnection:
    """The only connection of this process that writes. A lock on one row makes the batches of all instances serial."""

    def __init__(self, url: str) -> None:
        self.connection = driver.Connection(url)
        self._known_version: int | None = None
        self._version = 0
        self._begun_at = 0

    @property
    def changes(self) -> int:
        return self.connection.changes

    def begin(self) -> bool:
        self.connection.execute("BEGIN")
        self._version = int(self.connection.execute(_LOCK).fetchone()[0])  # type: ignore[index]
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
        """Each error aborts the transaction of PostgreSQL."""
        return True

    def as_domain_error(self, error: Exception) -> ProjectManagerError:
        return driver.as_domain_error(error)

    def shorten_timeout(self) -> None:
        pass

    def close(self) -> None:
        self.connection.close()


class PostgresReadSession:
    """A connection that reads one snapshot at a time."""

    def __init__(self, url: str) -> None:
        self.progressed = 0.0
        self.connection = driver.Connection(url)

    def begin(self, seconds: float) -> None:
        self.connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self.allow(seconds)

    def allow(self, seconds: float) -> None:
        self.connection.execute(f"SET LOCAL statement_timeout = {max(1, int(seconds * 1000))}")

    def end(self) -> None:
        self.progressed = monotonic()
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def as_domain_error(self, error: BaseException) -> ProjectManagerError:
        return driver.as_domain_error(error)

    def close(self) -> None:
        self.connection.close()


class PostgresTailSession:
    """A connection that sees whether another connection has committed."""

    def __init__(self, url: str) -> None:
        self.connection = driver.Connection(url)

    def version(self) -> int:
        return int(self.connection.execute(_VERSION).fetchone()[0])  # type: ignore[index]

    def obstacle(self) -> str | None:
        return None

    def note(self, error: BaseException) -> None:
        pass

    def close(self) -> None:
        self.connection.close()
