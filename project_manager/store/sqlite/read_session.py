"""Read-only connections to a SQLite file."""

from typing import Any

from project_manager.clock import monotonic
from project_manager.domain.errors import ProjectManagerError
from project_manager.store.sqlite import driver
from project_manager.store.sqlite.file_watch import FileWatch

PROGRESS_HANDLER_STEPS = 20_000
LONG_READ_CACHE_KIB = 2048


class SqliteReadSession:
    """A connection that reads one snapshot at a time. SQLite asks every few thousand steps whether to go on."""

    in_process = True

    def __init__(self, path: str, watch: FileWatch) -> None:
        self.progressed = 0.0
        self._watch = watch
        self._deadline = 0.0
        self.connection = driver.connect(path, read_only=True)
        self.connection.set_progress_handler(self._is_overdue, PROGRESS_HANDLER_STEPS)

    @classmethod
    def for_long_reads(cls, path: str, watch: FileWatch) -> "SqliteReadSession":
        """Return a session with a small cache. Raises DatabaseMoved for other files than those at the start."""
        watch.check_before_opening()
        session = cls(path, watch)
        session.connection.execute(f"PRAGMA cache_size=-{LONG_READ_CACHE_KIB}")
        return session

    def begin(self, seconds: float) -> None:
        self._watch.check_reads()
        self.allow(seconds)
        self.connection.execute("BEGIN")

    def allow(self, seconds: float) -> None:
        self._deadline = monotonic() + seconds

    def end(self) -> None:
        self.progressed = monotonic()
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def is_interrupted(self, error: BaseException) -> bool:
        return False

    def as_domain_error(self, error: BaseException) -> ProjectManagerError:
        self._watch.note(error)
        return driver.as_domain_error(error)

    def close(self) -> None:
        self.connection.close()

    def _is_overdue(self) -> Any:
        self.progressed = instant = monotonic()
        return instant > self._deadline
