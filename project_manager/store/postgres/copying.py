"""A database on a PostgreSQL server as the source or the target of a copy."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import psycopg

from project_manager.config import database_urls
from project_manager.store import checks, copy_checks, revisions
from project_manager.store.checks import CheckResult
from project_manager.store.errors import BackupError, CopyError, TemporaryBackupError
from project_manager.store.postgres import database, driver
from project_manager.store.statement import Row
from project_manager.store.transaction import Tx

# The lock stops the batches of all instances. A snapshot of REPEATABLE READ begins at the first query after it.
_LOCK = (
    "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;"
    " LOCK TABLE counter IN EXCLUSIVE MODE"
)
_READ = f"BEGIN ISOLATION LEVEL REPEATABLE READ; {_LOCK}"
_WRITE = f"BEGIN; {_LOCK}"
_NOW = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
_LAST_EVENT = "SELECT seq FROM counter WHERE id = 1"
_SET_LAST_EVENT = "UPDATE counter SET seq = $1 WHERE id = 1"
_LAST_NUMBER = "SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM {table}_id_seq"
_SET_LAST_NUMBER = "SELECT setval('{table}_id_seq', greatest($1, 1), $1 > 0)"
_EVENTS = "events"


class PostgresSide:
    """A connection in a transaction that holds the lock of the writers."""

    def __init__(self, url: str, connection: driver.Connection, tx: Tx) -> None:
        self.name = database_urls.name(url)
        self.tx = tx
        self._connection = connection

    @contextmanager
    def errors(self) -> Iterator[None]:
        with _errors(self.name):
            yield

    def last_number(self, table: str) -> int:
        sql = _LAST_EVENT if table == _EVENTS else _LAST_NUMBER.format(table=table)
        with self.errors():
            return int(self._connection.row(sql)[0])


class PostgresTarget(PostgresSide):
    """A database that is filled."""

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        self._connection.load(table, columns, rows)
        self._connection.run_script(f'ANALYZE "{table}"')

    def set_last_number(self, table: str, number: int) -> None:
        sql = _SET_LAST_EVENT if table == _EVENTS else _SET_LAST_NUMBER.format(table=table)
        self._connection.execute(sql, (number,))

    def check(self) -> CheckResult:
        return checks.check_contents(self.tx, revisions.head())


@contextmanager
def open_source(url: str) -> Iterator[PostgresSide]:
    """Lock a database against the writes of all processes. Raises BackupError, DatabaseOpenError."""
    with _connected(url) as connection:
        with _errors(database_urls.name(url)):
            tx = _begin(connection, _READ, database_urls.name(url))
        yield PostgresSide(url, connection, tx)


@contextmanager
def open_target(url: str) -> Iterator[PostgresTarget]:
    """Create the tables if they are missing, and lock the database. The rows are committed at the end of the context.

    Raises BackupError, DatabaseOpenError.
    """
    name = database_urls.name(url)
    present = database.revision(url)
    if present in (None, revisions.head()):  # `_begin` refuses the others
        database.prepare(url, auto_migrate=present is None)
    with _connected(url) as connection:
        with _errors(name):
            tx = _begin(connection, _WRITE, name)
        yield PostgresTarget(url, connection, tx)
        with _errors(name, is_committing=True):
            connection.commit()


@contextmanager
def _connected(url: str) -> Iterator[driver.Connection]:
    with database.errors_of(url):
        connection = driver.StreamingConnection(url)
    with closing(connection):
        yield connection


def _begin(connection: driver.Connection, begin: str, name: str) -> Tx:
    """Begin a transaction with the lock of the writers. Raises BackupError when the database cannot be used now."""
    copy_checks.check_schema(connection, name)
    connection.run_script(begin)
    (now,) = connection.row(_NOW)
    tx = copy_checks.transaction(connection, now)
    copy_checks.check_unused(tx, name)
    return tx


@contextmanager
def _errors(name: str, *, is_committing: bool = False) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise _error(name, error, is_committing=is_committing) from error


def _error(name: str, error: psycopg.Error, *, is_committing: bool) -> BackupError:
    state: Any = error.sqlstate or ""
    if state == "55P03":
        return copy_checks.in_use(name)
    why = " ".join(database.message(error).split())
    if state.startswith(driver.GONE) if state else isinstance(error, psycopg.OperationalError):
        outcome = (
            "has the whole copy or nothing: check it with `project-manager verify`" if is_committing else "is unchanged"
        )
        return TemporaryBackupError(f"the connection to {name} was lost: {why}. The target {outcome}")
    kind = TemporaryBackupError if driver.has_cause_outside(error) else CopyError
    return kind(f"the copy has failed on {name}: {why}")
