"""A SQLite file as the source or the target of a copy."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from project_manager.clock import SystemClock
from project_manager.domain.actors import SYSTEM
from project_manager.store import copy_checks
from project_manager.store.checks import CheckResult
from project_manager.store.errors import BackupError, CopyError, TemporaryBackupError
from project_manager.store.sqlite import backup, checks, driver, files, private_files
from project_manager.store.sqlite.database import check_access
from project_manager.store.statement import Row
from project_manager.store.transaction import Tx

_LOCK = (
    driver.SHORT_BUSY_TIMEOUT,
    # Another process cannot even read: in WAL mode, each connection holds a lock as long as it is open.
    "PRAGMA locking_mode=EXCLUSIVE",
    "BEGIN EXCLUSIVE",
    "PRAGMA query_only=ON",
)
# The file of an interrupted copy is deleted, so it needs no journal.
_FILL = ("PRAGMA journal_mode=DELETE", "PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "PRAGMA foreign_keys=OFF")
_LAST_NUMBER = "SELECT seq FROM sqlite_sequence WHERE name = ?"
_DELETE_NUMBER = "DELETE FROM sqlite_sequence WHERE name = ?"
_INSERT_NUMBER = "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)"


class SqliteSide:
    """An open file."""

    def __init__(self, path: Path, tx: Tx) -> None:
        self.name = str(path)
        self.tx = tx
        self._path = path
        self._connection: Any = tx.connection

    @contextmanager
    def errors(self) -> Iterator[None]:
        try:
            yield
        except driver.DriverError as error:
            raise _error(self._path, error) from error

    def last_number(self, table: str) -> int:
        with self.errors():
            row = self._connection.execute(_LAST_NUMBER, (table,)).fetchone()
        return 0 if row is None else int(row[0])


class SqliteTarget(SqliteSide):
    """A new file that is filled."""

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        names = ", ".join(f'"{name}"' for name in columns)
        values = ", ".join("?" for _ in columns)
        self._connection.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({values})', rows)  # noqa: S608 own names

    def set_last_number(self, table: str, number: int) -> None:
        self._connection.execute(_DELETE_NUMBER, (table,))
        if number:
            self._connection.execute(_INSERT_NUMBER, (table, number))

    def check(self) -> CheckResult:
        return checks.check_contents(self._connection)


@contextmanager
def open_source(path: Path) -> Iterator[SqliteSide]:
    """Lock a database file against all other processes. Raises BackupError, DatabaseOpenError."""
    check_access(path)
    with files.exclusive_locks(path) as free:
        if not free:
            raise copy_checks.in_use(str(path))
    if not files.is_database(path):
        raise CopyError(f"the file {path} is not a database")
    if mixed := files.foreign_logs(path):
        raise CopyError(f"{mixed[0]} belongs to another database than {path.name}; move it")
    with closing(driver.connect(str(path), keep_settings=True)) as connection:
        side = SqliteSide(path, Tx(connection, 0, SYSTEM, "", 0))
        with side.errors():
            _lock(connection)
            copy_checks.check_schema(connection, str(path))
            side.tx = copy_checks.transaction(connection, SystemClock().now())
            copy_checks.check_unused(side.tx, str(path))
            _check_pages(connection, path)
        yield side


def _lock(connection: Any) -> None:
    for statement in _LOCK:
        connection.execute(statement)


def _check_pages(connection: Any, path: Path) -> None:
    """Raise CopyError for a damaged file: a query may skip the rows that a damaged index does not have."""
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise CopyError(f"the database {path} is damaged: restore a backup (`project-manager restore`)")


@contextmanager
def open_target(path: Path) -> Iterator[SqliteTarget]:
    """Create a database file, which gets its name at the end of the context, when it is complete.

    Raises BackupError, DatabaseOpenError.
    """
    # Import Alembic only here: its import takes longer than most commands.
    from project_manager.store.migrations import upgrade  # noqa: PLC0415

    check_access(path)
    _check_new(path)
    try:
        private_files.make_folder(path.parent)
        with private_files.workspace(path, "unfinished") as unfinished:
            upgrade(str(unfinished))
            with closing(driver.connect(str(unfinished), keep_settings=True)) as connection:
                yield from _filled(connection, path)
            files.copy_ownership(unfinished, path.parent)
            _check_new(path)
            backup.replace_file(unfinished, path)
    except OSError as error:
        raise backup.write_error(f"the copy {path.name}", path.parent, error) from error


def _filled(connection: Any, path: Path) -> Iterator[SqliteTarget]:
    """Yield the target in a transaction, and commit it."""
    target = SqliteTarget(path, Tx(connection, 0, SYSTEM, "", 0))
    with target.errors():
        for statement in (*_FILL, driver.BEGIN_WRITE):
            connection.execute(statement)
    yield target
    with target.errors():
        connection.execute("COMMIT")


def _check_new(path: Path) -> None:
    """Raise BackupError if the file exists, or if a removed file of this path is still in use or has left a log."""
    if path.exists():
        raise CopyError(f"the file {path} already exists: copy to a new file")
    if logs := files.logs_of(path):
        raise CopyError(f"{logs[0]} belongs to another database, and SQLite would read it as part of the copy; move it")
    if files.is_open_after_removal(path):
        raise copy_checks.in_use(str(path))


def _error(path: Path, error: Exception) -> BackupError:
    if driver.is_full(error):
        return backup.disk_full(f"the copy {path.name}", path.parent)
    if driver.is_busy(error):
        return copy_checks.in_use(str(path))
    if driver.is_damage(error):
        return CopyError(f"the database {path} is damaged: restore a backup (`project-manager restore`)")
    if driver.error_name(error):
        return TemporaryBackupError(f"the database {path} cannot be read or written now: {error}")
    return CopyError(f"the database {path} has a value that cannot be copied: {error}")
