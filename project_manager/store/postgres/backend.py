"""A database of a PostgreSQL server as a backend."""

import secrets
from collections.abc import Sequence
from pathlib import Path

from project_manager.clock import Clock
from project_manager.config import database_urls
from project_manager.observability.metrics import Metrics
from project_manager.store.backend import Verified
from project_manager.store.errors import DatabaseOpenError
from project_manager.store.instances import InstanceRow
from project_manager.store.postgres import database, driver, figures
from project_manager.store.postgres.clock import ServerClock
from project_manager.store.postgres.figures import ServerFigures, WriterLockFigures
from project_manager.store.postgres.outage import Outage
from project_manager.store.postgres.read_session import PostgresReadSession
from project_manager.store.postgres.tail_session import PostgresTailSession
from project_manager.store.postgres.timelines import Timelines
from project_manager.store.postgres.write_connection import Clocks, PostgresWriteConnection
from project_manager.store.transaction import Tx


class PostgresBackend:
    """A database of a server. Any number of instances on any machines use it."""

    is_on_server = True

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self.address = url
        self.name = database_urls.name(url)
        self._writer = secrets.token_hex(8)
        self._server_clock = ServerClock()
        self.clock: Clock = clock or self._server_clock
        self._outage = Outage()
        self._timelines = Timelines()
        self._lock_figures = WriterLockFigures()
        self._figures = ServerFigures()

    @property
    def driver_error(self) -> type[Exception]:
        return driver.DIALECT.driver_error

    def revision(self) -> str | None:
        return database.revision(self.address)

    def prepare(self, *, auto_migrate: bool) -> None:
        database.prepare(self.address, auto_migrate=auto_migrate)

    def connect_writer(self) -> PostgresWriteConnection:
        clocks = Clocks(self.clock, self._server_clock.observed)
        return PostgresWriteConnection(
            self.address, self._writer, clocks, self._outage, self._timelines, self._lock_figures
        )

    def connect_reader(self) -> PostgresReadSession:
        return PostgresReadSession(
            driver.Connection(self.address, timelines=self._timelines), self._outage, self._timelines
        )

    def connect_long_read(self) -> PostgresReadSession:
        try:
            connection = driver.StreamingConnection(self.address, self._outage, self._timelines)
        except driver.DIALECT.driver_error as error:
            raise driver.as_domain_error(error) from error
        return PostgresReadSession(connection, self._outage, self._timelines)

    def connect_tail(self) -> PostgresTailSession:
        return PostgresTailSession(self.address, self._writer, self._timelines)

    def opened(self) -> None:
        """Do nothing: a server has one database of this name."""

    def open_error(self, error: BaseException) -> DatabaseOpenError:
        return database.open_error(self.address, error)

    def refuse_instances(self, others: Sequence[InstanceRow]) -> None:
        """Accept all instances."""

    def remote_instances(self, others: Sequence[InstanceRow]) -> list[InstanceRow]:
        return []

    def problem(self) -> str | None:
        return None

    def exists(self) -> bool:
        return True

    def damage(self) -> str | None:
        return None

    def measure(self, tx: Tx) -> None:
        self._figures = figures.measure(tx)

    def size(self) -> tuple[int | None, None]:
        return self._figures.database_bytes, None

    def register_metrics(self, metrics: Metrics) -> None:
        metrics.omit_backups()
        self._lock_figures.report = metrics.writer_lock
        prefix = "project_manager_postgresql_"
        metrics.register_gauge(f"{prefix}reconnections_total", lambda: self._lock_figures.reconnections)
        metrics.register_gauge(f"{prefix}outage_seconds", self._outage.seconds)
        metrics.register_gauge(f"{prefix}oldest_snapshot_seconds", lambda: self._present().oldest_snapshot_seconds)
        metrics.register_gauge(f"{prefix}standbys", lambda: self._present().standbys)
        metrics.register_gauge(f"{prefix}synchronous_standbys", lambda: self._present().synchronous_standbys)
        metrics.register_gauge(f"{prefix}replication_lag_bytes", lambda: self._present().lag_bytes)

    def _present(self) -> ServerFigures:
        """Return the figures of the last measurement. They are unknown while the server is lost."""
        return ServerFigures() if self._outage.seconds() else self._figures

    def disk_writable(self) -> bool:
        return True

    def disk_free(self) -> int:
        raise OSError("the disk belongs to the database server")

    def world_accessible_files(self) -> list[Path]:
        return []

    def last_backup(self) -> Verified | None:
        return None
