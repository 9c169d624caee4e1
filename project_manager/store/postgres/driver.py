"""PostgreSQL driver: connections, the SQL dialect, and the mapping of driver errors."""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import TextLoader
from sqlalchemy import BigInteger, Integer
from sqlalchemy.dialects.postgresql.psycopg import PGCompiler_psycopg, PGDialect_psycopg
from sqlalchemy.types import TypeEngine

from project_manager.domain.errors import (
    DatabaseBusy,
    DatabaseUnavailable,
    ProjectManagerError,
    QueryTimeout,
    StorageFull,
)
from project_manager.store.connection import Dialect
from project_manager.store.postgres.search import TsvectorIndex


class _Compiler(PGCompiler_psycopg):
    """SQL compiler that gives all numbers 64 bits. SQLAlchemy has only 32 for a limit and for a number of Python."""

    def render_bind_cast(self, type_: Any, dbapi_type: TypeEngine[Any], sqltext: str) -> str:
        wide = BigInteger() if isinstance(dbapi_type, Integer) else dbapi_type
        return str(super().render_bind_cast(type_, wide, sqltext))  # type: ignore[no-untyped-call]


compiler = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
compiler.statement_compiler = _Compiler
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
DIALECT = Dialect(compiler, psycopg.Error, TsvectorIndex(), _TABLES)
SCHEMA = "project_manager"
"""The schema of all tables. No other is in the search path, so that no statement uses a table of another program."""
CONNECT_SECONDS = 3
PREPARED_STATEMENTS = 1000

_SETTINGS = "; ".join(
    (
        f"SET search_path = {SCHEMA}",
        "SET jit = off",
        "SET client_min_messages = warning",
        # A stopped process that holds the lock of the writers delays the others no longer than this.
        "SET idle_in_transaction_session_timeout = '3s'",
    )
)
_STATES = (
    ("53100", StorageFull, "the disk of the database server is full"),
    ("55P03", DatabaseBusy, "the database is locked by another process"),
    ("40", DatabaseBusy, "another transaction was in the way"),
    ("57014", QueryTimeout, "the query took longer than QUERY_TIMEOUT_SECONDS"),
)
_CHANGES = ("INSERT", "UPDATE", "DELETE")


class Connection:
    """A connection in autocommit mode. The caller executes BEGIN and COMMIT.

    `changes` is the number of rows that its statements have written.
    """

    dialect = DIALECT

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(
            url, autocommit=True, connect_timeout=CONNECT_SECONDS, cursor_factory=psycopg.RawCursor, prepare_threshold=1
        )
        self._connection.prepared_max = PREPARED_STATEMENTS
        # Without this, each size of an integer would be another prepared statement.
        self._connection.adapters.register_dumper(int, Int8Dumper)
        self._connection.adapters.register_loader("json", TextLoader)
        self.changes = 0
        self.run_script(_SETTINGS)

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> psycopg.Cursor[Any]:
        cursor: psycopg.Cursor[Any] = self._connection.execute(sql.encode(), parameters or None)
        if cursor.statusmessage is not None and cursor.statusmessage.startswith(_CHANGES):
            self.changes += cursor.rowcount
        return cursor

    @property
    def server_version(self) -> int:
        """The version of the server without its minor part, such as 15."""
        return self._connection.info.server_version // 10_000

    def row(self, sql: str) -> Any:
        """Return the first row of a query that has one."""
        return self.execute(sql).fetchone()

    def run_script(self, sql: str) -> None:
        """Run several statements without parameters in one round trip."""
        self._connection.execute(sql.encode(), prepare=False)

    @property
    def in_transaction(self) -> bool:
        return self._connection.info.transaction_status != TransactionStatus.IDLE

    @property
    def is_aborted(self) -> bool:
        """Return whether a statement has failed, so that the transaction must go back to a savepoint."""
        return self._connection.info.transaction_status == TransactionStatus.INERROR

    def close(self) -> None:
        self._connection.close()


def as_domain_error(error: BaseException) -> ProjectManagerError:
    """Return the domain error for a driver error, by its SQLSTATE."""
    state = getattr(error, "sqlstate", None) or ""
    for prefix, kind, message in _STATES:
        if state.startswith(prefix):
            return kind(message)
    return DatabaseUnavailable("the database cannot be read or written now")
