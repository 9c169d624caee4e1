"""Alembic environment: all missing migrations run in one transaction of the database, on SQLite and on PostgreSQL."""

import logging
import sys
from typing import Any, NoReturn

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, insert, select

from project_manager.config.errors import ConfigError
from project_manager.config.settings import load, log_format, read_environment
from project_manager.observability import logging as logs
from project_manager.store import revisions
from project_manager.store.errors import DatabaseOpenError, DatabaseTemporarilyUnavailable
from project_manager.store.migrations import name_of, oldest_release, transaction
from project_manager.store.tables import metadata, running_releases

log = logging.getLogger("project_manager.migrations")

SERVER_TABLES = {"counter", "batch_marks"}
"""Tables of PostgreSQL that coordinate the writers of several instances."""


def run(target: str) -> None:
    """Create the database if it is missing, and migrate it. Raises DatabaseOpenError."""
    with transaction(target) as connection:
        if needs_migrations(connection, name_of(target)):
            migrate(connection)


def needs_migrations(connection: Connection, name: str) -> bool:
    """Return False for a newer schema that this release can use, because Alembic does not know its revision.

    Raises DatabaseOpenError for a database of another program, or one that only another release can use.
    """
    database: Any = connection.connection.driver_connection
    if revisions.is_foreign(database):
        raise DatabaseOpenError(f"the database {name} was created by another program")
    if revision := revisions.other_revision(database):
        raise DatabaseTemporarilyUnavailable(f"the database {revisions.other_release_message(name, revision)}")
    return revisions.current(database) in {None, *revisions.known_revisions()}


def migrate(connection: Connection) -> None:
    """Run all missing migrations."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        transaction_per_migration=False,
        include_name=lambda name, kind, _parents: is_compared(name, kind),
    )
    context.run_migrations()
    note_running_releases(connection)


def is_compared(name: str | None, kind: str) -> bool:
    """Return whether Alembic compares this object. A search index is a table of one database only."""
    return not (kind == "table" and name is not None and ("_fts" in name or name in SERVER_TABLES))


def note_running_releases(connection: Connection) -> None:
    """Insert the releases that run on the newest schema, unless the database has an older schema."""
    newest = context.script.get_current_head()
    if newest is None or context.get_context().get_current_revision() != newest:
        return
    known = [script.revision for script in context.script.walk_revisions()]
    running = known[: known.index(oldest_release(context.script)) + 1]
    noted = connection.scalars(select(running_releases.c.release).where(running_releases.c.schema == newest)).all()
    for release in sorted({*running} - {*noted}):
        connection.execute(insert(running_releases).values(schema=newest, release=release))


def run_from_command_line() -> None:
    """Run for the `alembic` command. Log a failure as one sentence and exit with status 1."""
    environment = read_environment()
    logs.configure("INFO", log_format({}, environment, unset="text"))
    try:
        loaded = load({}, environment)
    except ConfigError as error:
        fail(str(error))
    for sentence in loaded.warnings:
        log.warning("%s", sentence, extra={"action": "unknown_setting"})
    settings = loaded.settings
    try:
        run(settings.database_url or str(settings.database_path))
    except DatabaseOpenError as error:
        fail(error.message)
    except CommandError:
        raise  # Alembic shows it as one sentence
    except Exception as error:  # log the traceback of a failed migration before the sentence
        log.error("a migration has failed", exc_info=error, extra={"action": "migration_fault"})
        fail(f"the database {settings.database_name} cannot be migrated: {error!r}. Nothing was changed")


def fail(sentence: str) -> NoReturn:
    """Log the reason of a failed migration and exit with status 1."""
    log.error("%s.", sentence.removesuffix("."), extra={"action": "migration_failed"})
    sys.exit(1)


given = context.config.attributes.get("url") or context.config.attributes.get("path")
if given is None:
    run_from_command_line()
else:
    run(str(given))
