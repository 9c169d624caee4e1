"""The database file of SQLite as a backend."""

import os
import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from project_manager.clock import Clock, monotonic
from project_manager.observability.metrics import Metrics
from project_manager.store import instances
from project_manager.store.backend import Verified
from project_manager.store.errors import DatabaseOpenError, DatabaseTemporarilyUnavailable, UsedByAnotherHost
from project_manager.store.instances import InstanceRow
from project_manager.store.sqlite import backup, database, driver, files, private_files
from project_manager.store.sqlite.file_watch import FileWatch
from project_manager.store.sqlite.read_session import SqliteReadSession
from project_manager.store.sqlite.tail_session import SqliteTailSession
from project_manager.store.sqlite.write_connection import SqliteWriteConnection
from project_manager.store.transaction import Tx

PROBE_SECONDS = 1.0


class SqliteBackend:
    """A database file."""

    is_on_server = False

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self.name = str(path)
        self.clock = clock
        self._probed = (float("-inf"), False)

    @property
    def address(self) -> Path:
        return self.path

    @property
    def driver_error(self) -> type[Exception]:
        return driver.DriverError

    @cached_property
    def watch(self) -> FileWatch:
        """Return the watch of the file. It starts when the first connection is opened."""
        return FileWatch(self.path)

    def revision(self) -> str | None:
        return database.revision(self.path)

    def prepare(self, *, auto_migrate: bool) -> None:
        database.prepare(self.path, auto_migrate=auto_migrate)

    def connect_writer(self) -> SqliteWriteConnection:
        return SqliteWriteConnection(self.name, self.watch)

    def connect_reader(self) -> SqliteReadSession:
        return SqliteReadSession(self.name, self.watch)

    def connect_long_read(self) -> SqliteReadSession:
        return SqliteReadSession.for_long_reads(self.name, self.watch)

    def connect_tail(self) -> SqliteTailSession:
        return SqliteTailSession(self.name, self.watch)

    def opened(self) -> None:
        if not self.watch.begin():
            raise DatabaseTemporarilyUnavailable(f"the database {self.path} was replaced during startup; restart")

    def open_error(self, error: BaseException) -> DatabaseOpenError:
        return database.open_error(self.path, error)

    def refuse_instances(self, others: Sequence[InstanceRow]) -> None:
        # Locks and shared memory of WAL mode work only between processes of one machine.
        if remote := self.remote_instances(others):
            raise UsedByAnotherHost(
                f"the database {self.path} is in use on another machine, {instances.host_name(remote[0])}: SQLite "
                "cannot be shared over a network file system; run all instances on one machine"
            )
        if others and not driver.several_processes_are_safe():
            shown = ".".join(str(part) for part in driver.SQLITE_VERSION)
            raise DatabaseOpenError(
                f"process {others[0].pid} on {instances.host_name(others[0])} uses the database {self.path}, and "
                f"SQLite {shown} can corrupt a database with two writing processes: install pysqlite3, or SQLite "
                "3.51.3 or newer"
            )

    def remote_instances(self, others: Sequence[InstanceRow]) -> list[InstanceRow]:
        return [other for other in others if not instances.is_on_this_machine(other)]

    def problem(self) -> str | None:
        """Return the difference between the database files on disk and those that this process has open, or None."""
        change = self.watch.refresh()
        return None if change is None else change.message

    def exists(self) -> bool:
        return self.path.exists()

    def damage(self) -> str | None:
        return self.watch.damage

    def measure(self, tx: Tx) -> None:
        """Do nothing: `size` asks the file system."""

    def size(self) -> tuple[int, int]:
        return files.size(self.path), files.size(Path(f"{self.path}-wal"))

    def register_metrics(self, metrics: Metrics) -> None:
        metrics.register_gauge("wal_bytes", lambda: self.size()[1])
        metrics.register_gauge("project_manager_database_damaged", lambda: float(self.damage() is not None))
        metrics.register_gauge("project_manager_disk_free_bytes", self.disk_free)

    def disk_writable(self) -> bool:
        """Return whether a page can be written next to the database. The result is cached for PROBE_SECONDS."""
        tried_at, writable = self._probed
        if monotonic() - tried_at >= PROBE_SECONDS:
            writable = os.access(self.path, os.W_OK) and database.can_write_page(self.path.parent)
            self._probed = monotonic(), writable
        return writable

    def disk_free(self) -> int:
        return shutil.disk_usage(self.path.parent).free

    def world_accessible_files(self) -> list[Path]:
        """Return the folder of the database if it is open to other users, then the file if it is open too."""
        if not private_files.is_open_to_others(self.path.parent):
            return []
        return [self.path.parent, *([self.path] if private_files.is_open_to_others(self.path) else [])]

    def last_backup(self) -> Verified | None:
        return backup.last_verified(self.path)
