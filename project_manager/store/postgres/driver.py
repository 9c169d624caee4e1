"""PostgreSQL driver: connections, the SQL dialect, and the mapping of driver errors."""

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import TextLoader
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from project_manager.domain.errors import (
    DatabaseBusy,
    DatabaseUnavailable,
    ProjectManagerError,
    QueryTimeout,
    StorageFull,
)
from project_manager.store.connection import Dialect
from project_manager.store.postgres.search import TsvectorIndex

DIALECT = Dialect(PGDialect_psycopg(paramstyle="numeric_dollar"), psycopg.Error, TsvectorIndex())  # type: ignore[no-untyped-call]

_SETTINGS = (
    "SET search_path = project_manager, public",
    "SET jit = off",
    "SET idle_in_transaction_session_timeout = '3s'",
    "SET client_min_messages = warning",
)

_STATES = (
    ("53100", StorageFull, "the disk of the database server is full"),
    ("55P03", DatabaseBusy, "the database is locked by another process"),
    ("40", DatabaseBusy, "another transaction was in the way"),
    ("57014", QueryTimeout, "the query took longer than QUERY_TIMEOUT_SECONDS"),
)


class Connection:
    """A connection in autocommit mode. The caller executes BEGIN and COMMIT.

    `changes` is the number of rows that its statements have written.
    """

    dialect = DIALECT

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(
            url, autocommit=True, prepare_threshold=1, connect_timeout=3, cursor_factory=psycopg.RawCursor
        )
        # Without this, each size of an integer would be another prepared statement.
        self._connection.adapters.register_dumper(int, Int8Dumper)
        self._connection.adapters.register_loader("json", TextLoader)
        self.changes = 0
        for setting in _SETTINGS:
            self._connection.execute(setting)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> psycopg.Cursor[tuple[Any, ...]]:
        cursor = self._connection.execute(sql.encode(), parameters or None)
        if cursor.statusmessage is not None and cursor.statusmessage.startswith(("INSERT", "UPDATE", "DELETE")):
            self.changes += cursor.rowcount
        return cursor

    def stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Any]:
        return iter(self.execute(sql, parameters))

    @property
    def in_transaction(self) -> bool:
        return self._connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE

    def close(self) -> None:
        self._connection.close()


def as_domain_error(error: BaseException) -> ProjectManagerError:
    """Return the domain error for a driver error, by its SQLSTATE."""
    state = getattr(error, "sqlstate", None) or ""
    for prefix, kind, message in _STATES:
        if state.startswith(prefix):
            return kind(message)
    return DatabaseUnavailable("the database cannot be read or written now")
