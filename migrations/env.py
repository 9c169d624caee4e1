"""Alembic environment with the driver and BEGIN of this project.

Foreign keys are off during table rebuilds and are checked before COMMIT.
"""

import logging
import sys
from pathlib import Path
from typing import Any, NoReturn

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from project_manager.config.errors import ConfigError
from project_manager.config.settings import load, log_format, read_environment
from project_manager.observability import logging as logs
from project_manager.store import revisions
from project_manager.store.errors import DatabaseOpenError, DatabaseTemporarilyUnavailable
from project_manager.store.migrations import oldest_release
from project_manager.store.sqlite import driver
from project_manager.store.sqlite.database import check_access, create, migration_error, move_foreign_logs
from project_manager.store.tables import metadata, running_releases

log = logging.getLogger("project_manager.migrations")


def database_path() -> str:
    """Return the path that the caller of Alembic has passed, or the path in the settings."""
    given = context.config.attributes.get("path")
    if given is not None:
        return str(given)
    return str(load({}, read_environment(), None).settings.database_path)


def is_ours(name: str | None, kind: str) -> bool:
    """Return whether Alembic compares this object.

    Full-text tables belong to a SQLite extension, and migrations create them by hand.
    """
    return not (kind == "table" and "_fts" in (name or ""))


def begin_for_writing(connection: Connection) -> None:
    """Begin a transaction that holds the write lock from the start."""
    connection.exec_driver_sql(driver.BEGIN_WRITE)


def migrate(connection: Connection) -> None:
    """Run all migrations in one transaction. Raises DatabaseOpenError when a foreign key is violated afterwards."""
    # Alembic does not commit a transaction that is already open, so this function opens it first.
    with connection.begin():
        context.configure(
            connection=connection,
            target_metadata=metadata,
            render_as_batch=True,
            transaction_per_migration=False,
            include_name=lambda name, kind, _parents: is_ours(name, kind),
        )
        context.run_migrations()
        note_running_releases(connection)
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            table, row = broken[0][:2]
            raise DatabaseOpenError(
                f"the database {database_path()} cannot be migrated: {len(broken)} rows would be left without their "
                f"parents, the first in {table} (rowid {row}). Nothing was changed: restore a backup, or delete "
                "those rows"
            )


def note_running_releases(connection: Connection) -> None:
    """Insert the releases that run on the newest schema, unless the database has an older schema."""
    newest = context.script.get_current_head()
    if newest is None or context.get_context().get_current_revision() != newest:
        return
    known = [script.revision for script in context.script.walk_revisions()]
    for release in known[: known.index(oldest_release(context.script)) + 1]:
        connection.execute(insert(running_releases).values(schema=newest, release=release).on_conflict_do_nothing())


def refuse_other_release(driver_connection: Any, path: Path) -> None:
    """Raise DatabaseOpenError for a database of another program, or one that only a newer release can use."""
    if revisions.is_foreign(driver_connection):
        raise DatabaseOpenError(f"the database {path} was created by another program")
    if revision := revisions.newer_revision(driver_connection):
        raise DatabaseTemporarilyUnavailable(f"the database {revisions.newer_release_message(path, revision)}")


def run() -> None:
    """Create the database if it is missing, and migrate it. Raises DatabaseOpenError."""
    path = database_path()
    check_access(Path(path))
    move_foreign_logs(Path(path))
    create(Path(path))
    engine = create_engine("sqlite://", creator=lambda: driver.connect(path), poolclass=NullPool)
    event.listen(engine, "begin", begin_for_writing)
    with engine.connect() as connection:
        driver_connection = connection.connection.driver_connection
        if driver_connection is None:
            raise RuntimeError("there is no driver connection")
        driver_connection.execute("PRAGMA foreign_keys=OFF")
        refuse_other_release(driver_connection, Path(path))
        # Skip a newer schema that this release can use, because Alembic does not know its revision.
        if revisions.current(driver_connection) in {None, *revisions.known_revisions()} or not revisions.is_compatible(
            driver_connection
        ):
            migrate(connection)
    engine.dispose()


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
    path = loaded.settings.database_path
    try:
        run()
    except DatabaseOpenError as error:
        fail(error.message)
    except (DBAPIError, driver.DriverError, OSError) as error:
        fail(migration_error(path, getattr(error, "orig", None) or error).message)
    except CommandError:
        raise  # Alembic shows it as one sentence
    except Exception as error:  # log the traceback of a failed migration before the sentence
        log.error("a migration has failed", exc_info=error, extra={"action": "migration_fault"})
        fail(f"the database {path} cannot be migrated: {error!r}. Nothing was changed")


def fail(sentence: str) -> NoReturn:
    """Log the reason of a failed migration and exit with status 1."""
    log.error("%s.", sentence.removesuffix("."), extra={"action": "migration_failed"})
    sys.exit(1)


if "path" in context.config.attributes:
    run()
else:
    run_from_command_line()
