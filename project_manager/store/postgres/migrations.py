"""Migration of a PostgreSQL database: one transaction, which only one process runs at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from project_manager.config import database_urls
from project_manager.store.errors import DatabaseOpenError
from project_manager.store.postgres import driver, hosts
from project_manager.store.postgres.database import errors_of

LOCK = 7_305_168_402
"""The key of the advisory lock of a migration. No other part of the program uses advisory locks."""

_SETTINGS = (
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL lock_timeout = '5min'",  # another process may be migrating a large database
    f"SELECT pg_advisory_xact_lock({LOCK})",
    "SET LOCAL lock_timeout = '5s'",
    f"SET LOCAL search_path = {hosts.SCHEMA}",
)
_HAS_SCHEMA = f"SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = '{hosts.SCHEMA}')"  # noqa: S608 a constant
_MAY_CREATE = "SELECT has_database_privilege(current_database(), 'CREATE')"
_HAS_COUNTER = "SELECT to_regclass('counter') IS NOT NULL"
_LOCK_COUNTER = "SELECT FROM counter WHERE id = 1 FOR UPDATE"


class _Connection(psycopg.Connection[Any]):
    """Connection of the driver with the dialect of its SQL."""

    dialect = driver.DIALECT


@contextmanager
def transaction(url: str) -> Iterator[Connection]:
    """Create the schema if it is missing, and return a transaction after those of all other migrations.

    Its statements read what these have committed. Raises DatabaseOpenError.
    """
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: _Connection.connect(**hosts.newest_host(hosts.parameters(url))),
        poolclass=NullPool,
        isolation_level="READ COMMITTED",
    )
    with errors_of(url), engine.begin() as connection:
        for setting in _SETTINGS:
            connection.exec_driver_sql(setting)
        _create_schema(connection, url)
        _stop_writers(connection)
        yield connection


def _create_schema(connection: Connection, url: str) -> None:
    if connection.exec_driver_sql(_HAS_SCHEMA).scalar():
        return
    if not connection.exec_driver_sql(_MAY_CREATE).scalar():
        raise DatabaseOpenError(
            f"the database {database_urls.name(url)} has no schema {hosts.SCHEMA}, and the user of DATABASE_URL may "
            f"not create it: run `CREATE SCHEMA {hosts.SCHEMA} AUTHORIZATION` for this user as the owner of the "
            "database"
        )
    connection.exec_driver_sql(f"CREATE SCHEMA {hosts.SCHEMA}")


def _stop_writers(connection: Connection) -> None:
    """Take the lock of the batches of all instances, so that none waits for a table that the migration locks."""
    if connection.exec_driver_sql(_HAS_COUNTER).scalar():
        connection.exec_driver_sql(_LOCK_COUNTER)
