"""The choice of a database by its address."""

from pathlib import Path

from project_manager.clock import Clock, SystemClock
from project_manager.store.backend import Backend


def open_backend(address: Path | str, clock: Clock | None = None) -> Backend:
    """Return the database at a path, or at the URL of a PostgreSQL server. It opens no connection.

    Without a clock, a file uses the clock of this machine, and a server its own.
    """
    if isinstance(address, str):
        from project_manager.store.postgres.backend import PostgresBackend  # noqa: PLC0415 psycopg is an extra

        return PostgresBackend(address, clock)
    from project_manager.store.sqlite.backend import SqliteBackend  # noqa: PLC0415 a server needs no SQLite

    return SqliteBackend(address, clock or SystemClock())
