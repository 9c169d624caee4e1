"""SQLite driver: connections, SQL dialect, the start of transactions, and the mapping of driver errors."""

import sqlite3 as _standard
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from sqlalchemy.dialects.sqlite import dialect as _sqlite_dialect
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.sql.expression import FromClause

from project_manager.domain.errors import ProjectManagerError
from project_manager.domain.service_errors import (
    DatabaseBusy,
    DatabaseDamaged,
    DatabaseUnavailable,
    QueryTimeout,
    StorageFull,
)
from project_manager.store.connection import Dialect
from project_manager.store.sqlite.search import FtsIndex

try:
    import pysqlite3.dbapi2 as _bundled
except ImportError:
    _bundled = None

driver: ModuleType = _bundled if _bundled is not None else _standard

# The driver searches for an adapter of each parameter that is no number or text. Without one, it formats and drops two
# errors, which takes 2 us. That is ten times as long as a number.
for _kind in (type(None), bytes):
    driver.register_adapter(_kind, lambda value: value)


class _Compiler(SQLiteCompiler):
    """SQL compiler that emits table hints, which SQLAlchemy's own compiler omits, and a special LIMIT clause."""

    def limit_clause(self, select: Any, **kw: Any) -> str:
        # SQLite prepares the statement again at each run when the limit is a bare parameter.
        spelled = f"\n LIMIT {self.process(select._limit_clause, **kw)} + 0"
        if select._offset_clause is not None:
            spelled += f" OFFSET {self.process(select._offset_clause, **kw)} + 0"
        return spelled

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:
        return text


compiler = _sqlite_dialect(paramstyle="qmark")
compiler.statement_compiler = _Compiler
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
_LAST_EVENT = "SELECT seq FROM sqlite_sequence WHERE name = 'events'"
DIALECT = Dialect(compiler, driver.Error, FtsIndex(), _TABLES, _LAST_EVENT)


class Connection(driver.Connection):  # type: ignore[name-defined,misc]
    """Connection of the driver with the dialect of its SQL."""

    dialect = DIALECT
    trusts_changes = False  # no difference
    postpone = driver.Connection.execute  # a statement has no round trip to save

    def change_row(self, sql: str, parameters: Sequence[Any] = (), /) -> bool:
        return bool(self.execute(sql, parameters).rowcount)

    def stream(self, sql: str, parameters: Sequence[Any] = (), /) -> Iterator[Any]:
        return iter(self.execute(sql, parameters))

    def keep_alive(self) -> None:
        """Do nothing: SQLite has no server."""


DriverError: type[Exception] = driver.Error
IntegrityError: type[Exception] = driver.IntegrityError

BEGIN_WRITE = "BEGIN IMMEDIATE"
BUSY_TIMEOUT_MS = 3000
SHORT_BUSY_TIMEOUT = "PRAGMA busy_timeout=200"
SQLITE_VERSION: tuple[int, ...] = driver.sqlite_version_info

_FIXED_BACKPORTS = ((3, 44, 6), (3, 50, 7))
_FIXED_SINCE = (3, 51, 3)

_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    f"busy_timeout={BUSY_TIMEOUT_MS}",
    "foreign_keys=ON",
    "cache_size=-16000",
    "temp_store=MEMORY",
    "journal_size_limit=67108864",
)

_ENDS_TRANSACTION = frozenset({"SQLITE_FULL", "SQLITE_IOERR", "SQLITE_NOMEM", "SQLITE_INTERRUPT"})
_WRITE_FAILURES = ("SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC", "SQLITE_IOERR_TRUNCATE")


def several_processes_are_safe(version: tuple[int, ...] = SQLITE_VERSION) -> bool:
    """Return whether this SQLite version has the fix for the WAL-reset bug (sqlite.org/wal.html).

    Without the fix, two processes that write and checkpoint at the same moment can corrupt the database.
    """
    return version >= _FIXED_SINCE or version in _FIXED_BACKPORTS


def connect(path: str, *, read_only: bool = False, keep_settings: bool = False) -> Any:
    """Open and return a driver connection in autocommit mode. The caller executes BEGIN and COMMIT.

    A `read_only` connection cannot write and never runs a checkpoint. `keep_settings` omits all pragmas, because the
    file may belong to another program.
    """
    connection = driver.connect(
        f"file:{_quoted(path)}?mode=rw",
        uri=True,
        factory=Connection,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
        timeout=BUSY_TIMEOUT_MS / 1000,
    )
    for pragma in () if keep_settings else _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    if read_only:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("PRAGMA query_only=ON")
    return connection


def data_version(connection: Any) -> int:
    """Return a number that changes when another connection commits."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def error_name(error: BaseException) -> str:
    """Return SQLite's name of the error, such as SQLITE_BUSY, or an empty string when the driver gives none."""
    name = getattr(error, "sqlite_errorname", None)
    return str(name) if name else ""


def is_damage(error: BaseException) -> bool:
    """Return whether SQLite has found that the file is damaged or not a database."""
    return error_name(error).startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def is_busy(error: BaseException) -> bool:
    """Return whether another connection has locked the database."""
    return error_name(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def is_full(error: BaseException) -> bool:
    """Return whether the disk is full."""
    return error_name(error).startswith("SQLITE_FULL")


def is_write_failure(error: BaseException) -> bool:
    """Return whether a write or fsync of the log may have failed. Then the state of the log on disk is unknown.

    The bundled driver does not distinguish write errors from read errors.
    """
    name = error_name(error)
    return name == "SQLITE_IOERR" or name.startswith(_WRITE_FAILURES)


def ends_transaction(error: BaseException) -> bool:
    """Return whether the whole transaction must end, because SQLite rolled it back or the file is damaged."""
    return is_damage(error) or error_name(error).startswith(tuple(_ENDS_TRANSACTION))


def as_domain_error(error: BaseException) -> ProjectManagerError:
    """Return the domain error for a driver error.

    Constraint errors have no class of their own, because use cases check constraints before they write.
    """
    name = error_name(error)
    if is_full(error):
        return StorageFull("the disk of the database is full")
    if is_busy(error):
        return DatabaseBusy("the database is locked by another process")
    if name.startswith("SQLITE_INTERRUPT"):
        return QueryTimeout("the query took longer than QUERY_TIMEOUT_SECONDS")
    if is_damage(error):
        return DatabaseDamaged("the database file is damaged")
    return DatabaseUnavailable("the database cannot be read or written now")
