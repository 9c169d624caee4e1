"""A database of a PostgreSQL server as a backend."""

from collections.abc import Sequence
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from project_manager.clock import Clock
from project_manager.store import revisions
from project_manager.store.backend import Verified
from project_manager.store.errors import DatabaseOpenError, DatabaseTemporarilyUnavailable
from project_manager.store.instances import InstanceRow
from project_manager.store.postgres import driver
from project_manager.store.postgres.clock import ServerClock
from project_manager.store.postgres.sessions import PostgresReadSession, PostgresTailSession, PostgresWriteConnection


class PostgresBackend:
    """A database of a server. Any number of instances on any machines use it."""

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self.address = url
        self.name = _name_without_secrets(url)
        self._server_clock = ServerClock()
        self.clock: Clock = clock or self._server_clock
        self._bytes = 0

    @property
    def driver_error(self) -> type[Exception]:
        return driver.DIALECT.driver_error

    def prepare(self, *, auto_migrate: bool) -> None:
        try:
            present = self._revision()
        except self.driver_error as error:
            raise self.open_error(error) from error
        if present == revisions.head():
            return

    def connect_writer(self) -> PostgresWriteConnection:
        return PostgresWriteConnection(self.address, self._server_clock.observed)

    def connect_reader(self) -> PostgresReadSession:
        return PostgresReadSession(self.address)

    def connect_long_read(self) -> PostgresReadSession:
        return PostgresReadSession(self.address)

    def connect_tail(self) -> PostgresTailSession:
        return PostgresTailSession(self.address)

    def opened(self) -> None:
        """Do nothing: a server has one database of this name."""

    def open_error(self, error: BaseException) -> DatabaseOpenError:
        return DatabaseTemporarilyUnavailable(f"the database {self.name} cannot be opened now: {error}")

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

    def size(self) -> tuple[int, int]:
        return self._bytes, 0

    def disk_writable(self) -> bool:
        return True

    def disk_free(self) -> int:
        raise OSError("the disk belongs to the database server")

    def world_accessible_files(self) -> list[Path]:
        return []

    def last_backup(self) -> Verified | None:
        return None

    def _revision(self) -> str | None:
        connection = driver.Connection(self.address)
        try:
            return revisions.current(connection)
        finally:
            connection.close()


def _name_without_secrets(url: str) -> str:
    """Return the hosts and the name of the database, without the password."""
    parts = conninfo_to_dict(url)
    return f"{parts.get('dbname', '')} on {parts.get('host', 'the local server')}"
