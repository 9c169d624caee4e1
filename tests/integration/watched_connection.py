"""A connection on which a test sees, counts or fails each statement."""

from collections.abc import Callable
from typing import Any

from project_manager.store.connection import Connection, Dialect


class WatchedConnection:
    """A connection that executes statements with `execute`, which may pass them on to the real one."""

    def __init__(self, connection: Connection, execute: Callable[..., Any]) -> None:
        self.dialect: Dialect = connection.dialect
        self.execute = execute


def trace(connection: Connection, callback: Callable[[str], None] | None) -> None:
    """Call the callback with the text of each further statement of a SQLite connection. None ends it."""
    driver_connection: Any = connection
    driver_connection.set_trace_callback(callback)
