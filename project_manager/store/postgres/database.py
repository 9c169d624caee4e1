"""Preparation of a database on a server before it is opened: checks and migration."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError

from project_manager.config import database_urls
from project_manager.store import revisions
from project_manager.store.errors import DatabaseOpenError, DatabaseTemporarilyUnavailable
from project_manager.store.postgres import driver

OLDEST_VERSION = 15
_TEMPORARY = ("08", "53", "55P03", "57P", "40")
"""Prefixes of SQLSTATE: connection, resources, lock timeout, shutdown, and rollback because of another transaction."""


def prepare(url: str, *, auto_migrate: bool) -> None:
    """Check the database, and migrate it when allowed. Raises DatabaseOpenError."""
    name = database_urls.name(url)
    with errors_of(url), closing(driver.Connection(url)) as connection:
        _check_version(connection, name)
        if revisions.is_foreign(connection):
            raise DatabaseOpenError(f"the database {name} was created by another program")
        if revisions.is_compatible(connection):
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
    why = " ".join(str(error).split())
    if state is None:
        return DatabaseTemporarilyUnavailable(f"the database {name} cannot be reached: {why}")
    kind = DatabaseTemporarilyUnavailable if state.startswith(_TEMPORARY) else DatabaseOpenError
    return kind(f"the database {name} cannot be created or migrated: {why}. Nothing was changed")


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


def _check_version(connection: driver.Connection, name: str) -> None:
    found = connection.server_version
    if found < OLDEST_VERSION:
        raise DatabaseOpenError(
            f"the server of {name} is PostgreSQL {found}, which is too old: use PostgreSQL {OLDEST_VERSION} or newer"
        )


def _migrate(url: str) -> None:
    # Import Alembic only for a migration: its import takes longer than a normal start may take.
    from project_manager.store.migrations import upgrade  # noqa: PLC0415

    upgrade(url)
