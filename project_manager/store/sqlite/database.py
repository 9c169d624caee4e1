"""Preparation of a database file before it is opened: checks and migration."""

import logging
import os
import re
import tempfile
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from project_manager.clock import SystemClock, sortable_timestamp
from project_manager.store import revisions
from project_manager.store.errors import DatabaseOpenError, DatabaseTemporarilyUnavailable
from project_manager.store.sqlite import access, driver, files, private_files

log = logging.getLogger(__name__)

QUICK_CHECK_BYTES = 32 * 1024 * 1024
PROBE_BYTES = 4096


def prepare(path: Path, *, auto_migrate: bool) -> None:
    """Check the file and migrate it when allowed. After a DatabaseOpenError, its contents are unchanged."""
    check_access(path)
    exists = path.exists() and path.stat().st_size > 0
    if not exists:
        _create_folder(path)
    _remove_leftovers(path)
    move_foreign_logs(path)  # before the first connection, which would use such a log
    present, fits = _examine(path) if exists else (None, False)
    if fits:
        return
    if present is not None and present not in revisions.known_revisions():
        raise DatabaseTemporarilyUnavailable(f"the database {revisions.other_release_message(str(path), present)}")
    if not auto_migrate:
        raise DatabaseOpenError(f"the database {revisions.older_schema_message(str(path), present)}")
    _migrate(path, present)


def revision(path: Path) -> str | None:
    """Return the revision of a database, or None without one, as for a missing or unreadable file."""
    move_foreign_logs(path)
    if not path.exists() or path.stat().st_size == 0:
        return None
    try:
        with closing(driver.connect(str(path), keep_settings=True)) as connection:
            return revisions.current(connection)
    except driver.DriverError:
        return None


def _remove_leftovers(path: Path) -> None:
    """Delete leftovers of killed restores, backups and migrations in the folder of the database."""
    named = re.compile(rf"{re.escape(path.name)}(\..+)?")
    with suppress(OSError):  # opening the database reports an unreadable folder
        for left in private_files.remove_leftovers(path.resolve().parent, lambda name: bool(named.fullmatch(name))):
            log.info("removed %s, left by a killed process", left, extra={"action": "leftover_removed"})


def check_access(path: Path) -> None:
    """Raise DatabaseOpenError when this user cannot create or write the database. The message has a remedy."""
    if reason := access.permission_problem(path):
        raise DatabaseOpenError(reason)
    if path.is_dir():
        raise DatabaseOpenError(f"the database {path} is a folder, not a file")


def _create_folder(path: Path) -> None:
    try:
        private_files.make_folder(path.parent)
    except OSError as error:
        raise DatabaseOpenError(f"the folder of the database {path} cannot be created: {error.strerror}") from error


def _examine(path: Path) -> tuple[str | None, bool]:
    """Check a database. Return its revision and whether this release runs on it. Raises DatabaseOpenError."""
    try:
        if not files.is_database(path):
            raise DatabaseOpenError(f"the file {path} is not a database")
        return _examine_inside(path)
    except driver.DriverError as error:
        raise open_error(path, error) from error
    except OSError as error:
        raise DatabaseTemporarilyUnavailable(f"the database {path} cannot be read now: {error.strerror}") from error


def open_error(path: Path, error: BaseException) -> DatabaseOpenError:
    """Return the refusal for a failed open. It reports damage only when SQLite has found damage."""
    if driver.is_damage(error):
        return DatabaseOpenError(_damaged(path))
    name = driver.error_name(error)
    if name.startswith("SQLITE_READONLY"):
        return DatabaseOpenError(f"the database {path} is read-only for this user")
    if driver.is_busy(error):
        return DatabaseTemporarilyUnavailable(f"the database {path} is locked by another process")
    if name == "SQLITE_ERROR":
        return DatabaseOpenError(f"the database {path} does not match its schema: {error}")
    if name.startswith("SQLITE_IOERR") and not can_write_page(path.parent):
        return DatabaseTemporarilyUnavailable(
            f"the database {path} cannot be opened: its disk is full; free 1 MB and restart"
        )
    return DatabaseTemporarilyUnavailable(f"the database {path} cannot be opened now: {error}")


def move_foreign_logs(path: Path) -> None:
    """Rename leftover logs of another database, because SQLite would delete them or apply them to this database.

    Raises DatabaseOpenError while a process has the other database open.
    """
    try:
        if not files.foreign_logs(path):
            return
        with ExitStack() as opened, files.exclusive_locks(path) as free:
            if not free:
                if not path.exists():
                    raise DatabaseTemporarilyUnavailable(
                        f"the database {path} was removed but is still open in a process; stop that process first"
                    )
                if files.is_open_after_removal(path):
                    raise DatabaseTemporarilyUnavailable(
                        f"the log next to {path} belongs to a removed database that is still open in a process; "
                        "stop that process first"
                    )
                return  # another process is creating the database at this moment
            found = files.foreign_logs(path, opened)
            moved = (
                files.move_logs(path, f"{path.name}.left-over-{sortable_timestamp(SystemClock().now())}")
                if found
                else []
            )
    except OSError as error:
        raise DatabaseOpenError(f"the log next to the database {path} cannot be moved: {error.strerror}") from error
    if moved:
        names = ", ".join(str(log) for log in moved)
        log.error(
            "the log next to %s belongs to another database and is kept as %s",
            path,
            names,
            extra={"action": "foreign_log_moved"},
        )


def _damaged(path: Path) -> str:
    return f"the database {path} is damaged: restore a backup (`project-manager restore`)"


def _examine_inside(path: Path) -> tuple[str | None, bool]:
    connection = driver.connect(str(path), keep_settings=True)
    try:
        if path.stat().st_size <= QUICK_CHECK_BYTES:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise DatabaseOpenError(_damaged(path))
        if revisions.is_foreign(connection):
            raise DatabaseOpenError(f"the database {path} was created by another program")
        return revisions.current(connection), revisions.is_compatible(connection)
    finally:
        connection.close()


def _migrate(path: Path, present: str | None) -> None:
    # Import Alembic only for a migration: its import takes longer than a normal start may take.
    from project_manager.store.migrations import upgrade  # noqa: PLC0415

    try:
        if present is not None:
            _copy_before_migration(path, present)
        upgrade(str(path))
    except (driver.DriverError, OSError) as error:
        raise migration_error(path, error) from error


def migration_error(path: Path, error: Exception) -> DatabaseOpenError:
    """Return the refusal for a failed migration. A migration is one transaction, so nothing was changed."""
    if driver.is_damage(error):
        return DatabaseOpenError(_damaged(path))
    if reason := access.permission_problem(path):
        return DatabaseOpenError(reason)
    kind = DatabaseTemporarilyUnavailable if driver.is_busy(error) or driver.is_full(error) else DatabaseOpenError
    why = error.strerror if isinstance(error, OSError) else error
    return kind(f"the database {path} cannot be created or migrated: {why}. Nothing was changed")


def _copy_before_migration(path: Path, present: str) -> None:
    """Copy the database to `NAME.before-HEAD-from-PRESENT` in its folder with SQLite's online backup."""
    target = path.with_name(f"{path.name}.before-{revisions.head()}-from-{present}")
    with private_files.workspace(target, "unfinished") as unfinished:
        source, copy = driver.connect(str(path)), driver.connect(str(unfinished))
        try:
            source.backup(copy)
        finally:
            copy.close()
            source.close()
        files.copy_ownership(unfinished, path)
        unfinished.replace(target)


def create(path: Path) -> None:
    """Create the folder and the database file (mode 0600) when they are missing. Raises OSError."""
    private_files.make_folder(path.parent)
    with suppress(FileExistsError):
        private_files.create(path.resolve())
        files.copy_ownership(path, path.parent)


def can_write_page(folder: Path) -> bool:
    """Return whether a page can be written to the folder. The file has no name, so a killed process leaves nothing."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            return os.pwrite(file.fileno(), bytes(PROBE_BYTES), 0) == PROBE_BYTES
    except OSError:
        return False
