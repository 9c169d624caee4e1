"""Read-only connections to a PostgreSQL server."""

from project_manager.domain.errors import ProjectManagerError
from project_manager.store.postgres import driver
from project_manager.store.postgres.lineage import Lineage
from project_manager.store.postgres.outage import Outage


class PostgresReadSession:
    """A connection that reads one snapshot at a time."""

    in_process = False

    def __init__(self, connection: driver.Connection, outage: Outage, lineage: Lineage) -> None:
        self.connection = connection
        self._outage = outage
        self._lineage = lineage

    @property
    def progressed(self) -> float:
        return self.connection.answered_at

    def begin(self, seconds: float) -> None:
        if self._lineage.is_outdated(self.connection.server):
            self.connection.reconnect(self._outage)
        try:
            self.connection.begin_read(seconds)
        except driver.DIALECT.driver_error:
            if not self.connection.is_lost:
                raise
            self.connection.reconnect(self._outage)
            self.connection.begin_read(seconds)
        self._outage.end()

    def allow(self, seconds: float) -> None:
        self.connection.extend_read(seconds)

    def end(self) -> None:
        self.connection.end_read()

    def is_interrupted(self, error: BaseException) -> bool:
        return self.connection.is_lost

    def as_domain_error(self, error: BaseException) -> ProjectManagerError:
        return driver.as_domain_error(error)

    def close(self) -> None:
        self.connection.close()
