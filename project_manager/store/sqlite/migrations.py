"""Migration of a SQLite database: one write transaction, with a check of its foreign keys at the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from project_manager.store.errors import DatabaseOpenError
from project_manager.store.sqlite import driver
from project_manager.store.sqlite.database import check_access, create, migration_error, move_foreign_logs


@contextmanager
def transaction(path: Path) -> Iterator[Connection]:
    """Create the database if it is missing, and return a transaction that holds the write lock from the start.

    Foreign keys are off during the rebuild of a table, and are checked before COMMIT. Raises DatabaseOpenError.
    """
    check_access(path)
    move_foreign_logs(path)
    engine = create_engine("sqlite://", creator=lambda: _connect(path), poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    try:
        create(path)
        with engine.begin() as connection:
            yield connection
            _check_foreign_keys(connection, path)
    except (DBAPIError, driver.DriverError, OSError) as error:
        raise migration_error(path, getattr(error, "orig", None) or error) from error
    finally:
        engine.dispose()


def _connect(path: Path) -> Any:
    connection = driver.connect(str(path))
    connection.execute("PRAGMA foreign_keys=OFF")
    return connection


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(driver.BEGIN_WRITE)


def _check_foreign_keys(connection: Connection, path: Path) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        table, row = broken[0][:2]
        raise DatabaseOpenError(
            f"the database {path} cannot be migrated: {len(broken)} rows would be left without their parents, the "
            f"first in {table} (rowid {row}). Nothing was changed: restore a backup, or delete those rows"
        )
