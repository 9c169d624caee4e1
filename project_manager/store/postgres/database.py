"""Preparation of a database on a server before it is opened: checks and migration."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError

from project_manager.config import database_urls
from project_manager.store import revisions
from project_manager.store.errors import DatabaseOpenError, DatabaseTemporarilyUnavailable
from project_manager.store.postgres import driver, hosts

OLDEST_VERSION = 15
_TEMPORARY = ("08", "53", "55P03", "57P", "40")
"""Prefixes of SQLSTATE: connection, resources, lock timeout, shutdown, and rollback because of another transaction."""
_NO_PRIVILEGE = ("42501", "3F000")
"""SQLSTATE of a missing privilege, and of a schema that is hidden because of one."""
_REMEDY = (
    f"make the user of DATABASE_URL the owner of the schema {hosts.SCHEMA} and its tables, or migrate as their owner "
    "and grant the user USAGE on the schema and SELECT, INSERT, UPDATE, DELETE on the tables"
)
_ENCODING = "SHOW server_encoding"
_IS_READ_ONLY = "SELECT current_setting('transaction_read_only') = 'on'"
# Only migrations write to the two tables that are left out.
_NOT_WRITABLE = """
SELECT min(tablename) FROM pg_tables
WHERE schemaname = current_schema() AND tablename NOT IN ('alembic_version', 'running_releases')
AND NOT (
    has_table_privilege(to_regclass(tablename), 'SELECT') AND has_table_privilege(to_regclass(tablename), 'INSERT')
    AND has_table_privilege(to_regclass(tablename), 'UPDATE') AND has_table_privilege(to_regclass(tablename), 'DELETE')
)
"""


def prepare(url: str, *, auto_migrate: bool) -> None:
    """Check the database, and migrate it when allowed. Raises DatabaseOpenError."""
    name = database_urls.name(url)
    with errors_of(url), closing(driver.Connection(url, read_write=hosts.has_several_hosts(url))) as connection:
        _check_server(connection, name)
        if revisions.is_foreign(connection):
            raise DatabaseOpenError(f"the database {name} was created by another program")
        if revisions.is_compatible(connection):
            _check_privileges(connection, name)
            return
        present = revisions.current(connection)
    if present is not None and present not in revisions.known_revisions():
        raise DatabaseTemporarilyUnavailable(f"the database {revisions.other_release_message(name, present)}")
    if not auto_migrate:
        raise DatabaseOpenError(f"the database {revisions.older_schema_message(name, present)}")
    _migrate(url)


def revision(url: str) -> str | None:
    """Return the revision of the database, or None without one. Raises DatabaseOpenError."""
    with errors_of(url), closing(driver.Connection(url)) as connection:
        return revisions.current(connection)


def open_error(url: str, error: BaseException) -> DatabaseOpenError:
    """Return the refusal for an error of the driver."""
    name, state = database_urls.name(url), getattr(error, "sqlstate", None)
    why = " ".join(message(error).split())
    if state is None:
        return DatabaseTemporarilyUnavailable(f"the database {name} cannot be reached: {why}")
    if state in _NO_PRIVILEGE:
        return _no_privilege(name, why)
    kind = DatabaseTemporarilyUnavailable if state.startswith(_TEMPORARY) else DatabaseOpenError
    return kind(f"the database {name} cannot be opened or migrated: {why}. Nothing was changed")


def message(error: BaseException) -> str:
    """Return the message of the server without the position in its SQL, else that of the driver."""
    from_server = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return from_server or str(error)


def _no_privilege(name: str, why: str) -> DatabaseOpenError:
    return DatabaseOpenError(f"the database {name} cannot be used: {why}; {_REMEDY}")


@contextmanager
def errors_of(url: str) -> Iterator[None]:
    """Raise errors of the driver as DatabaseOpenError."""
    if not database_urls.is_valid(url):
        raise DatabaseOpenError(f"DATABASE_URL is malformed, but must be {database_urls.SYNTAX}")
    try:
        yield
    except DBAPIError as error:
        raise open_error(url, error.orig or error) from error
    except psycopg.Error as error:
        raise open_error(url, error) from error


def _check_server(connection: driver.Connection, name: str) -> None:
    found = connection.server_version
    if found < OLDEST_VERSION:
        raise DatabaseOpenError(
            f"the server of {name} is PostgreSQL {found}, which is too old: use PostgreSQL {OLDEST_VERSION} or newer"
        )
    (encoding,) = connection.row(_ENCODING)
    if encoding != "UTF8":
        raise DatabaseOpenError(
            f"the database {name} has the encoding {encoding}, which lacks characters: create one with ENCODING 'UTF8'"
        )
    if connection.row(_IS_READ_ONLY)[0]:
        raise DatabaseTemporarilyUnavailable(
            f"the database {name} is read-only: name the primary server in DATABASE_URL, or remove "
            "default_transaction_read_only from the database and the user"
        )


def _check_privileges(connection: driver.Connection, name: str) -> None:
    (table,) = connection.row(_NOT_WRITABLE)
    if table is not None:
        raise _no_privilege(name, f"permission denied for table {table}")


def _migrate(url: str) -> None:
    # Import Alembic only for a migration: its import takes longer than a normal start may take.
    from project_manager.store.migrations import upgrade  # noqa: PLC0415

    upgrade(url)
