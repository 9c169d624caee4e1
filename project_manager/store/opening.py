"""The choice of a database by its address."""

from importlib import import_module
from pathlib import Path
from typing import Any

from project_manager.clock import Clock, SystemClock
from project_manager.store.backend import Backend
from project_manager.store.errors import DatabaseOpenError


def open_backend(address: Path | str, clock: Clock | None = None) -> Backend:
    """Return the database at a path, or at the URL of a PostgreSQL server. It opens no connection.

    Without a clock, a file uses the clock of this machine, and a server its own. Raises DatabaseOpenError without the
    driver.
    """
    if isinstance(address, str):
        of_server: Backend = postgres_module("backend").PostgresBackend(address, clock)
        return of_server
    from project_manager.store.sqlite.backend import SqliteBackend  # noqa: PLC0415 a server needs no SQLite

    return SqliteBackend(address, clock or SystemClock())


def postgres_module(name: str) -> Any:
    """Return a module for PostgreSQL. Its driver is optional. Raises DatabaseOpenError without it."""
    try:
        return import_module(f"project_manager.store.postgres.{name}")
    except ModuleNotFoundError as error:
        raise DatabaseOpenError(
            "the driver of PostgreSQL is not installed: run `pip install project-manager-queue[postgresql]`"
        ) from error
