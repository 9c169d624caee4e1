"""Every difference between databases: the driver, how statements are spelled, how a transaction begins, which
error means what.
"""

import sqlite3 as _standard
from types import ModuleType
from typing import Any

from sqlalchemy.dialects.sqlite import dialect as _sqlite_dialect
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.sql.expression import FromClause

from project_manager.domain.errors import (
    DatabaseBusy,
    DatabaseDamaged,
    DatabaseUnavailable,
    ProjectManagerError,
    QueryTimeout,
    StorageFull,
)

try:
    import pysqlite3.dbapi2 as _bundled
except ImportError:
    _bundled = None

driver: ModuleType = _bundled if _bundled is not None else _standard


class _Compiler(SQLiteCompiler):
    """Spells two things as SQLite is best told: hints, which SQLAlchemy's own compiler leaves out, and LIMIT."""

    def limit_clause(self, select: Any, **kw: Any) -> str:
        # Where the parameter alone is the limit, SQLite plans the statement anew at each run.
        spelled = f"\n LIMIT {self.process(select._limit_clause, **kw)} + 0"
        if select._offset_clause is not None:
            spelled += f" OFFSET {self.process(select._offset_clause, **kw)} + 0"
        return spelled

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:
        return text


compiler = _sqlite_dialect(paramstyle="qmark")
compiler.statement_compiler = _Compiler

DatabaseError: type[Exception] = driver.DatabaseError
DriverError: type[Exception] = driver.Error
IntegrityError: type[Exception] = driver.IntegrityError

BEGIN_WRITE = "BEGIN IMMEDIATE"
BUSY_TIMEOUT_MS = 3000
WAIT_BRIEFLY = "PRAGMA busy_timeout=200"
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
_LOST_WRITE = ("SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC", "SQLITE_IOERR_TRUNCATE")


def several_processes_are_safe(version: tuple[int, ...] = SQLITE_VERSION) -> bool:
    """Whether this SQLite is free of the WAL-reset bug (sqlite.org/wal.html): before its fix, two processes that
    write and checkpoint at the same moment can corrupt the database.
    """
    return version >= _FIXED_SINCE or version in _FIXED_BACKPORTS


def connect(path: str, *, read_only: bool = False, as_it_is: bool = False) -> Any:
    """A driver connection in autocommit, so that BEGIN and COMMIT are ours. Readers cannot write and never
    checkpoint; `as_it_is` leaves the file's own settings alone, for one that may be another program's.
    """
    connection = driver.connect(
        f"file:{_quoted(path)}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
        timeout=BUSY_TIMEOUT_MS / 1000,
    )
    for pragma in () if as_it_is else _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    if read_only:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("PRAGMA query_only=ON")
    return connection


def data_version(connection: Any) -> int:
    """A number that differs from the last one when somebody else has committed in between."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def error_name(error: BaseException) -> str:
    """SQLite's own name of the error, such as SQLITE_BUSY; the drivers differ in how they give it."""
    name = getattr(error, "sqlite_errorname", None)
    return str(name) if name else ""


def is_damage(error: BaseException) -> bool:
    """Return whether SQLite has found that the file is damaged, or no database."""
    return error_name(error).startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def is_busy(error: BaseException) -> bool:
    """Return whether another process holds the database."""
    return error_name(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def is_full(error: BaseException) -> bool:
    return error_name(error).startswith("SQLITE_FULL")


def is_lost_write(error: BaseException) -> bool:
    """Return whether a write or fsync of the log may have failed, so that the disk holds an unknown part of it.

    The bundled driver does not tell an error in writing from one in reading.
    """
    name = error_name(error)
    return name == "SQLITE_IOERR" or name.startswith(_LOST_WRITE)


def ends_transaction(error: BaseException) -> bool:
    """Return whether the whole transaction has to end: SQLite has rolled it back, or the file is damaged."""
    return is_damage(error) or error_name(error).startswith(tuple(_ENDS_TRANSACTION))


def as_domain_error(error: BaseException) -> ProjectManagerError:
    """What a driver's error means to a caller. Violated constraints do not come here: use cases check before they
    write.
    """
    name = error_name(error)
    if is_full(error):
        return StorageFull("the disk of the database is full")
    if is_busy(error):
        return DatabaseBusy("another process holds the database")
    if name.startswith("SQLITE_INTERRUPT"):
        return QueryTimeout("the query took longer than QUERY_TIMEOUT_SECONDS")
    if is_damage(error):
        return DatabaseDamaged("the database file is damaged")
    return DatabaseUnavailable("the database cannot be read or written now")
