"""The connection of the writer to a SQLite file."""

import logging

from project_manager.domain.errors import ProjectManagerError
from project_manager.domain.service_errors import DatabaseUnavailable, OutcomeUnknown
from project_manager.store.sqlite import driver
from project_manager.store.sqlite.file_watch import FileWatch
from project_manager.store.write_connection import Recovery

log = logging.getLogger(__name__)


class SqliteWriteConnection:
    """The only connection of this process that writes.

    After a failed write or fsync, the contents of the disk are unknown. The connection then refuses further batches.
    """

    def __init__(self, path: str, watch: FileWatch) -> None:
        self.connection = driver.connect(path)
        self._watch = watch
        self._known_version: int | None = None
        self._version = 0
        self._short_timeout = self._lost = False

    @property
    def changes(self) -> int:
        return int(self.connection.total_changes)

    @property
    def in_transaction(self) -> bool:
        return bool(self.connection.in_transaction)

    def begin(self) -> bool:
        if self._lost:
            raise DatabaseUnavailable("the disk failed during a write; this process no longer writes")
        self._watch.check()
        if self._short_timeout:
            self.connection.execute(driver.SHORT_BUSY_TIMEOUT)
        self.connection.execute(driver.BEGIN_WRITE)
        self._version = driver.data_version(self.connection)
        return self._version == self._known_version

    def commit(self) -> None:
        self.connection.execute("COMMIT")
        self._watch.check()  # do not acknowledge a write to a removed file: it is lost
        self._known_version = self._version

    def recover(self, error: Exception) -> Recovery:
        return Recovery.FAILED

    def roll_back(self) -> None:
        self._known_version = None
        if self.in_transaction:
            try:
                self.connection.execute("ROLLBACK")
            except driver.DriverError:
                log.exception("rollback failed", extra={"action": "rollback_failed"})

    def trust_changes(self, trusts: bool) -> None:
        """Do nothing: SQLite executes each statement at once."""

    def flush(self) -> None:
        """Do nothing, for the same reason."""

    @property
    def is_aborted(self) -> bool:
        return False

    def ends_transaction(self, error: Exception) -> bool:
        return driver.ends_transaction(error) or not self.in_transaction

    def as_domain_error(self, error: Exception) -> ProjectManagerError:
        self._watch.note(error)
        if driver.is_write_failure(error):
            # Linux drops the dirty state of pages after a failed fsync. A later fsync succeeds although they are lost.
            self._lost = True
            return OutcomeUnknown("the disk failed during the write; the result is unknown")
        return driver.as_domain_error(error)

    def shorten_timeout(self) -> None:
        self._short_timeout = True

    def close(self) -> None:
        """Checkpoint the log into the database file, and close."""
        try:
            self.connection.execute(driver.SHORT_BUSY_TIMEOUT)
            if not self._lost:
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except driver.DriverError as error:
            log.info("the write-ahead log is kept, because its checkpoint has failed: %s", error)
        self.connection.close()
