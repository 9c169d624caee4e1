"""PostgreSQL driver: the connection of a session, the SQL dialect, and the mapping of driver errors."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import count
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import BigInteger, Integer
from sqlalchemy.dialects.postgresql.psycopg import PGCompiler_psycopg, PGDialect_psycopg
from sqlalchemy.types import TypeEngine

from project_manager.clock import monotonic
from project_manager.domain.errors import ProjectManagerError
from project_manager.domain.service_errors import DatabaseBusy, DatabaseUnavailable, Internal, QueryTimeout, StorageFull
from project_manager.store.connection import Dialect
from project_manager.store.postgres import hosts
from project_manager.store.postgres.outage import Outage
from project_manager.store.postgres.postponed import CHANGES, Postponed, PostponedStatement
from project_manager.store.postgres.probing_connection import LONGEST_SECONDS, ProbingConnection
from project_manager.store.postgres.search import TsvectorIndex
from project_manager.store.postgres.timelines import Server, Timelines, WrongServer

log = logging.getLogger(__name__)


class _Compiler(PGCompiler_psycopg):
    """SQL compiler that gives all numbers 64 bits. SQLAlchemy has only 32 for a limit and for a number of Python."""

    def render_bind_cast(self, type_: Any, dbapi_type: TypeEngine[Any], sqltext: str) -> str:
        wide = BigInteger() if isinstance(dbapi_type, Integer) else dbapi_type
        return str(super().render_bind_cast(type_, wide, sqltext))  # type: ignore[no-untyped-call]


compiler = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
compiler.statement_compiler = _Compiler
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
_LAST_EVENT = "SELECT seq FROM counter WHERE id = 1"
DIALECT = Dialect(compiler, psycopg.Error, TsvectorIndex(), _TABLES, _LAST_EVENT)
ROWS_AT_ONCE = 1000
KEEP_ALIVE_SECONDS = 0.5
"""Time without a statement after which `Connection.keep_alive` executes one, and postponed ones are executed."""
POSTPONED = 16
"""Maximum number of postponed statements. More of them save little."""

_TIMEOUT = "SET LOCAL statement_timeout = {}"
# An open snapshot keeps all replaced rows, so that a client which reads nothing loses it.
_BEGIN_READ = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL idle_in_transaction_session_timeout = '60s'; "
    + _TIMEOUT
)
UNCHANGED_TIMEOUT = 0.8
"""Fraction of the statement timeout. When less time of a read is left, its rest becomes the timeout."""
_STATES = (
    ("53100", StorageFull, "the disk of the database server is full"),
    ("53", DatabaseUnavailable, "the database server has no free connections or memory"),
    ("55P03", DatabaseBusy, "the database is locked by another transaction"),
    ("40", DatabaseBusy, "another transaction was in the way"),
    ("57014", QueryTimeout, "the query took longer than QUERY_TIMEOUT_SECONDS"),
    ("25006", DatabaseUnavailable, "the database server is read-only"),
    ("42501", DatabaseUnavailable, "the user of DATABASE_URL lacks a privilege on the tables"),
)
"""Prefixes of SQLSTATE with the errors for a client. The longer of two prefixes comes first."""
_ROLLBACK_TO = "ROLLBACK TO "
GONE = ("08", "57P", "25P03")
"""Prefixes of SQLSTATE of a lost connection: none, a server that stops, and a transaction that was idle too long."""
NOT_REPLICATED = "01000"
"""SQLSTATE of the warning after a COMMIT that no longer waits for the standby."""


class Connection:
    """A connection in autocommit mode. The caller executes BEGIN and COMMIT.

    `changes` grows with each row that its statements write. `asked_at` and `answered_at` are the beginning and the end
    of the last statement, as instants of `monotonic`. Postponed statements go to the server with the next one, in one
    round trip. While `trusts_changes`, so do those of `change_row`.
    """

    dialect = DIALECT

    def __init__(
        self, url: str, outage: Outage | None = None, timelines: Timelines | None = None, *, read_write: bool = True
    ) -> None:
        """Connect to a server, or with `read_write` only to one that takes writes.

        If that fails, try again as `outage` allows. With `timelines`, refuse an outdated server. Raises the driver's
        error.
        """
        self._parameters = hosts.parameters(url, read_write=read_write)
        self._timelines = timelines
        self.asked_at = self.answered_at = 0.0
        self.trusts_changes = False
        self._changes = 0
        self._postponed = Postponed()
        self._warning: str | None = None
        self._deadline: float | None = None
        self._statement_timeout = 0.0
        self._dbapi = self._connect(outage)

    def _connect(self, outage: Outage | None) -> ProbingConnection:
        return self._connect_once() if outage is None else outage.connect(self._connect_once)

    def _connect_once(self) -> ProbingConnection:
        if self._timelines is None:
            return hosts.connect(hosts.newest_host(self._parameters), self._note)
        return hosts.connect_to_newest(self._parameters, self._note, self._timelines)

    def _note(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        self._warning = diagnostic.sqlstate

    @property
    def server(self) -> Server | None:
        """The identity of the server, or None if it is unknown."""
        return self._dbapi.server

    @property
    def is_new_server(self) -> bool:
        """Return whether the last batch in the database was not on this server, as of the connection."""
        return self._dbapi.server != self._dbapi.stored

    @property
    def is_lost(self) -> bool:
        return self._dbapi.closed

    def reconnect(self, outage: Outage | None = None) -> None:
        """Replace a lost connection, like the constructor."""
        if outage is not None and self._dbapi.closed:
            outage.begin(self.asked_at)
        self._dbapi.close()
        self.forget_postponed()
        self._dbapi = self._connect(outage)

    def begin_read(self, seconds: float) -> None:
        """Begin a snapshot of the database that `execute` may read for this time."""
        self.run_script(_BEGIN_READ.format(_milliseconds(seconds)))
        self._take_deadline(seconds)

    def extend_read(self, seconds: float) -> None:
        """Let the statements of this snapshot take this time from now."""
        self.run_script(_TIMEOUT.format(_milliseconds(seconds)))
        self._take_deadline(seconds)

    def end_read(self) -> None:
        """End the snapshot, if it is still open."""
        self._deadline = None
        if self.in_transaction:
            # The driver may discard all prepared statements after a ROLLBACK. COMMIT ends a failed transaction as well.
            self.run_script("COMMIT")

    def _take_deadline(self, seconds: float) -> None:
        self._deadline, self._statement_timeout = monotonic() + seconds, seconds

    def _keep_deadline(self, deadline: float) -> None:
        """Shorten the timeout of the next statement to the rest of the read. Raises the driver's error after it.

        The server has a timeout for each statement only. A short read saves the round trip.
        """
        rest = deadline - monotonic()
        if rest <= 0:
            raise psycopg.errors.QueryCanceled("the statements of a read took too long together")
        if rest < self._statement_timeout * UNCHANGED_TIMEOUT:
            self.run_script(_TIMEOUT.format(_milliseconds(rest)))
            self._statement_timeout = rest

    @property
    def changes(self) -> int:
        return self._changes + self._postponed.changes

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> psycopg.Cursor[Any]:
        if self._deadline is not None:
            self._keep_deadline(self._deadline)
        if sql.startswith(_ROLLBACK_TO):
            self._postponed.forget_since(sql.removeprefix(_ROLLBACK_TO))
        return self._exchange([*self._postponed.take(), PostponedStatement(sql, parameters)])

    def postpone(self, sql: str, parameters: Sequence[Any] = (), /) -> None:
        self._postpone(PostponedStatement(sql, parameters))

    def change_row(self, sql: str, parameters: Sequence[Any] = (), /) -> bool:
        if not self.trusts_changes:
            return bool(self.execute(sql, parameters).rowcount)
        self._postpone(PostponedStatement(sql, parameters, 1))
        return True

    def flush(self) -> None:
        """Execute the postponed statements."""
        if self._postponed:
            self._exchange(self._postponed.take())

    def forget_postponed(self) -> None:
        """Discard the postponed statements."""
        self._postponed.take()

    def _postpone(self, statement: PostponedStatement) -> None:
        self._postponed.add(statement)
        is_late = monotonic() - self.answered_at >= KEEP_ALIVE_SECONDS and self.in_transaction
        if is_late or len(self._postponed) >= POSTPONED:
            self.flush()

    def _exchange(self, statements: Sequence[PostponedStatement]) -> psycopg.Cursor[Any]:
        """Execute statements in one round trip, and return the last cursor. The first error fails the rest."""
        self.asked_at = monotonic()
        try:
            # A pipeline of a single statement takes more CPU time.
            with self._dbapi.pipeline() if len(statements) > 1 else nullcontext():
                cursors = [self._dbapi.execute(each.sql.encode(), each.parameters or None) for each in statements]
            self.answered_at = monotonic()
            for statement, cursor in zip(statements, cursors, strict=True):
                changed = _changed_rows(cursor)
                # Never less than before: the writer would not notice the writes of a failed job.
                self._changes += max(changed, statement.counted)
                if statement.changes not in (None, changed):
                    raise psycopg.errors.DataError("a row has changed since it was read")
        except Exception:
            self._changes += len(statements)  # some are not counted, but may have run
            raise
        return cursors[-1]

    def commit(self, limit: float = LONGEST_SECONDS) -> bool:
        """Commit the transaction. Return whether the standby has it too, if the server waits for one.

        Raises AnswerTimeout if the server still waits for the standby after `limit` seconds.
        """
        self._warning = None
        with self._dbapi.limited(limit):
            done = self.execute("COMMIT").statusmessage
        if done != "COMMIT":  # the server answers the COMMIT of an aborted transaction with ROLLBACK
            raise psycopg.errors.InFailedSqlTransaction("the transaction was rolled back")
        return self._warning != NOT_REPLICATED

    @contextmanager
    def last_write(self, seconds: float) -> Iterator[None]:
        """Limit the statements in the body to this time each. A standby need not confirm what they write.

        A commit would wait for a standby that is away until `LONGEST_SECONDS`.
        """
        with self._dbapi.limited(seconds):
            self.run_script("SET synchronous_commit = 'local'")
            yield

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Return the first row of a query, or None."""
        return self.execute(sql, parameters).fetchone()

    def stream(self, sql: str, parameters: Sequence[Any] = (), /) -> Iterator[Any]:
        """Return the rows of a query. They are all in memory, because a server cursor takes two more round trips."""
        return iter(self.execute(sql, parameters))

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows into a table with the COPY protocol, in one statement."""
        self.flush()
        names = ", ".join(f'"{name}"' for name in columns)
        with self._dbapi.cursor() as cursor, cursor.copy(f'COPY "{table}" ({names}) FROM STDIN'.encode()) as target:
            for row in rows:
                target.write_row(row)

    def run_script(self, sql: str) -> None:
        """Run several statements without parameters in one round trip."""
        self.asked_at = monotonic()
        self._dbapi.execute(sql.encode(), prepare=False)

    def keep_alive(self) -> None:
        if monotonic() - self.answered_at >= KEEP_ALIVE_SECONDS:
            self.execute("SELECT 1")

    def notifications(self, seconds: float) -> Iterator[str]:
        """Yield the payloads of the notifications that arrive within this time."""
        for notification in self._dbapi.notifies(timeout=seconds):
            yield notification.payload

    @property
    def server_version(self) -> int:
        """The version of the server without its minor part, such as 15."""
        return self._dbapi.info.server_version // 10_000

    @property
    def in_transaction(self) -> bool:
        return self._dbapi.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR)

    @property
    def is_aborted(self) -> bool:
        """Return whether a statement has failed, so that the transaction must go back to a savepoint."""
        return self._dbapi.info.transaction_status == TransactionStatus.INERROR

    def close(self) -> None:
        self._dbapi.close()


def _changed_rows(cursor: psycopg.Cursor[Any]) -> int:
    tag = cursor.statusmessage
    return cursor.rowcount if tag is not None and tag.startswith(CHANGES) else 0


class StreamingConnection(Connection):
    """Connection for queries with too many rows for the memory. The server sends them in pieces."""

    def __init__(self, url: str, outage: Outage | None = None, timelines: Timelines | None = None) -> None:
        super().__init__(url, outage, timelines)
        self._names = (f"rows_{number}" for number in count(1))

    def stream(self, sql: str, parameters: Sequence[Any] = (), /) -> Iterator[Any]:
        with psycopg.RawServerCursor(self._dbapi, next(self._names)) as cursor:
            cursor.itersize = ROWS_AT_ONCE
            cursor.execute(sql.encode(), parameters or None)
            self.answered_at = monotonic()
            yield from cursor


def _milliseconds(seconds: float) -> int:
    """Return the timeout of a statement. 0 would mean none."""
    return max(1, int(seconds * 1000))


def has_cause_outside(error: BaseException) -> bool:
    """Return whether the server or another session is the cause of an error, so that other statements fail likewise."""
    state = getattr(error, "sqlstate", None) or ""
    return any(state.startswith(prefix) for prefix, _, _ in _STATES)


def as_domain_error(error: BaseException) -> ProjectManagerError:
    """Return the domain error for a driver error, by its SQLSTATE. Log an unexpected error.

    Without a state, an OperationalError is about the connection, and each other error about the statement.
    """
    if isinstance(error, WrongServer):
        return DatabaseUnavailable(str(error))
    state = getattr(error, "sqlstate", None) or ""
    for prefix, kind, message in _STATES:
        if state.startswith(prefix):
            return kind(message)
    if not (state.startswith(GONE) if state else isinstance(error, psycopg.OperationalError)):
        log.error("a statement failed", exc_info=error, extra={"action": "statement_failed", "sqlstate": state})
        return Internal("internal server error")
    return DatabaseUnavailable("the database server cannot be reached")
