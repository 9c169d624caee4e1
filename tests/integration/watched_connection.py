"""A connection on which a test sees, counts or fails each statement."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from project_manager.store.connection import Connection, Dialect


class WatchedConnection:
    """A connection that executes statements with `execute`, which may pass them on to the real one."""

    def __init__(self, connection: Connection, execute: Callable[..., Any]) -> None:
        self.dialect: Dialect = connection.dialect
        self.trusts_changes = False
        self.execute = self.postpone = execute
        self.keep_alive = connection.keep_alive

    def change_row(self, sql: str, parameters: Sequence[Any] = (), /) -> bool:
        return bool(self.execute(sql, parameters).rowcount)

    def stream(self, sql: str, parameters: Sequence[Any] = (), /) -> Iterator[Any]:
        return iter(self.execute(sql, parameters))


@contextmanager
def traced(connection: Connection) -> Iterator[list[str]]:
    """Yield a list that gets the text of each statement that the connection executes in the body."""
    statements: list[str] = []
    watched: Any = connection
    names = ("execute", "postpone")  # on SQLite, change_row calls execute

    def recorded(method: Callable[..., Any]) -> Callable[..., Any]:
        def record(sql: str, *parameters: Any) -> Any:
            statements.append(sql)
            return method(sql, *parameters)

        return record

    for name in names:
        setattr(watched, name, recorded(getattr(watched, name)))
    try:
        yield statements
    finally:
        for name in names:
            delattr(watched, name)


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
