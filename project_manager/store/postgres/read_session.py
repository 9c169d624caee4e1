"""Read-only connections to a PostgreSQL server."""

from project_manager.domain.errors import ProjectManagerError
from project_manager.store.postgres import driver
from project_manager.store.postgres.outage import Outage
from project_manager.store.postgres.timelines import Timelines


class PostgresReadSession:
    """A connection that reads one snapshot at a time."""

    in_process = False

    def __init__(self, connection: driver.Connection, outage: Outage, timelines: Timelines) -> None:
        self.connection = connection
        self._outage = outage
        self._timelines = timelines

    @property
    def progressed(self) -> float:
        return self.connection.answered_at

    def begin(self, seconds: float) -> None:
        if self._timelines.is_outdated(self.connection.server):
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
