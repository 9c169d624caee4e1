"""A connection on which a test sees, counts or fails each statement."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from project_manager.store.connection import Connection, Dialect


class WatchedConnection:
    """A connection that executes statements with `execute`, which may pass them on to the real one."""

    def __init__(self, connection: Connection, execute: Callable[..., Any]) -> None:
        self.dialect: Dialect = connection.dialect
        self.execute = execute
        self.keep_alive = connection.keep_alive

    def stream(self, sql: str, parameters: Sequence[Any] = (), /) -> Iterator[Any]:
        return iter(self.execute(sql, parameters))


@contextmanager
def traced(connection: Connection) -> Iterator[list[str]]:
    """Yield a list that gets the text of each statement that the connection executes in the body."""
    statements: list[str] = []
    execute = connection.execute

    def recorded(sql: str, *parameters: Any) -> Any:
        statements.append(sql)
        return execute(sql, *parameters)

    watched: Any = connection
    watched.execute = recorded
    try:
        yield statements
    finally:
        del watched.execute


@contextmanager
def traced_with_values(connection: Connection) -> Iterator[list[str]]:
    """Yield a list that gets the text of each statement of a SQLite connection, with the values of its parameters."""
    statements: list[str] = []
    sqlite_connection: Any = connection
    sqlite_connection.set_trace_callback(statements.append)
    try:
        yield statements
    finally:
        sqlite_connection.set_trace_callback(None)
