"""Read-only connections to a PostgreSQL server."""

from project_manager.domain.errors import ProjectManagerError
from project_manager.store.postgres import driver
from project_manager.store.postgres.outage import Outage

# An open snapshot keeps all replaced rows, so that a client which reads nothing loses it.
_BEGIN = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL idle_in_transaction_session_timeout = '60s';"
    " SET LOCAL statement_timeout = {}"
)


class PostgresReadSession:
    """A connection that reads one snapshot at a time."""

    in_process = False

    def __init__(self, connection: driver.Connection, outage: Outage) -> None:
        self.connection = connection
        self._outage = outage

    @property
    def progressed(self) -> float:
        return self.connection.answered_at

    def begin(self, seconds: float) -> None:
        begin = _BEGIN.format(_milliseconds(seconds))
        try:
            self.connection.run_script(begin)
        except driver.DIALECT.driver_error:
            if not self.connection.is_lost:
                raise
            self.connection.reconnect(self._outage.is_over)
            self.connection.run_script(begin)
        self._outage.end()

    def allow(self, seconds: float) -> None:
        self.connection.run_script(f"SET LOCAL statement_timeout = {_milliseconds(seconds)}")

    def end(self) -> None:
        if self.connection.in_transaction:
            # The driver may discard all prepared statements after a ROLLBACK. COMMIT ends a failed transaction as well.
            self.connection.run_script("COMMIT")

    def is_interrupted(self, error: BaseException) -> bool:
        return self.connection.is_lost

    def as_domain_error(self, error: BaseException) -> ProjectManagerError:
        return driver.as_domain_error(error)

    def close(self) -> None:
        self.connection.close()


def _milliseconds(seconds: float) -> int:
    """Return the deadline of a statement. 0 would mean none."""
    return max(1, int(seconds * 1000))
