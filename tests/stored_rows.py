"""The rows of a database as a test reads them, past the product and on a connection of its own."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from itertools import count
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from project_manager.config.settings import Settings, load
from project_manager.domain.actors import SYSTEM
from project_manager.runtime.dispatch import Runtime
from project_manager.store.opening import open_backend
from project_manager.store.postgres import driver as postgres
from project_manager.store.sqlite import driver as sqlite
from project_manager.store.sqlite.backend import SqliteBackend
from project_manager.store.sqlite.file_watch import FileWatch
from project_manager.store.transaction import Tx

Row = dict[str, Any]
Address = Path | str
"""The path of a database file, or the URL of a database on a server."""
CreateDatabase = Callable[[], AbstractContextManager[Address]]
INTEGRITY_ERRORS = (sqlite.IntegrityError, psycopg.IntegrityError)


def settings_of(address: Address, **more: object) -> Settings:
    """Return the settings of a service on this database."""
    return load({setting_of(address): str(address), **more}, {}).settings


def setting_of(address: Address) -> str:
    """Return the name of the setting for an address of this kind."""
    return "DATABASE_PATH" if isinstance(address, Path) else "DATABASE_URL"


def address_of(runtime: Runtime) -> Address:
    return runtime.database.backend.address


def watch_of(runtime: Runtime) -> FileWatch:
    """Return the watch of the database file of a service on SQLite."""
    backend = runtime.database.backend
    assert isinstance(backend, SqliteBackend)
    return backend.watch


def file_of(runtime: Runtime) -> Path:
    """Return the database file of a service on SQLite."""
    backend = runtime.database.backend
    assert isinstance(backend, SqliteBackend)
    return backend.path


@contextmanager
def copied(template: Path) -> Iterator[Path]:
    """Yield a copy of a database file, and delete it at the end."""
    with TemporaryDirectory(prefix="database-") as folder:
        yield Path(copyfile(template, Path(folder, "pm.db")))


@contextmanager
def snapshot(address: Address) -> Iterator[Tx]:
    """Yield a transaction that only reads."""
    with closing(open_backend(address).connect_reader()) as session:
        session.begin(60)
        yield Tx(session.connection, 0, SYSTEM, "", 0)
        session.end()


def read(address: Address, sql: str, *parameters: object) -> list[Row]:
    """Return the rows of a query. A parameter is a question mark, of which the texts of the query have none.

    The package may not block the event loop of a test, so another thread reads.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_read, address, sql, parameters).result(60)


def _read(address: Address, sql: str, parameters: tuple[object, ...]) -> list[Row]:
    with snapshot(address) as tx:
        return rows(tx, sql, *parameters)


def rows(tx: Tx, sql: str, *parameters: object) -> list[Row]:
    """Return the rows of a query in a transaction."""
    cursor = execute(tx, sql, *parameters)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def read_all(address: Address) -> dict[str, list[Row]]:
    """Return the rows of all tables, by the name of the table."""
    tables = read(address, postgres.DIALECT.list_tables if isinstance(address, str) else sqlite.DIALECT.list_tables)
    return {name: read(address, f"SELECT * FROM {name}") for row in tables for name in row.values()}


@contextmanager
def writing(address: Address) -> Iterator[Tx]:
    """Yield a transaction that writes, like another process. It does not count as a commit of an instance."""
    with closing(open_backend(address).connect_writer()) as session:
        session.begin()
        yield Tx(session.connection, 0, SYSTEM, "", 0)
        session.commit()


@contextmanager
def rolled_back(address: Address) -> Iterator[Tx]:
    """Yield a transaction that writes. Nothing of it is kept."""
    with closing(open_backend(address).connect_writer()) as session:
        session.begin()
        yield Tx(session.connection, 0, SYSTEM, "", 0)
        session.roll_back()


def write(address: Address, sql: str, *parameters: object) -> None:
    """Run one statement, like another process."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(_write, address, sql, parameters).result(60)


def _write(address: Address, sql: str, parameters: tuple[object, ...]) -> None:
    with writing(address) as tx:
        execute(tx, sql, *parameters)


def execute(tx: Tx, sql: str, *parameters: object) -> Any:
    """Run one statement and return its cursor. A parameter is `?`, or `?1` if the statement names it several times."""
    if tx.connection.dialect.compiler.name != "sqlite":
        numbers = count(1)
        sql = re.sub(r"\?(\d*)", lambda found: f"${found[1] or next(numbers)}", sql)
    return tx.connection.execute(sql, parameters)
