"""Replacement of an unused database by a backup.

Clients may know changes after the backup. So a restored database begins a new epoch of event numbers, and every fence
is raised above all that the replaced database can have issued.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from sqlalchemy import delete

from project_manager.clock import sortable_timestamp
from project_manager.domain.actors import SYSTEM
from project_manager.domain.events.database import HeadFields
from project_manager.store import instances, meta, new_epoch
from project_manager.store.database_clock import JUMP_MS, ClockMark
from project_manager.store.errors import BackupError, DatabaseInUse, RestoreNotVerified, TemporaryBackupError
from project_manager.store.sqlite import backup, driver, files, private_files
from project_manager.store.statement import Statement
from project_manager.store.tables import instances as instances_table
from project_manager.store.tables import waiters
from project_manager.store.transaction import Tx

_DELETE_INSTANCES = Statement(delete(instances_table))
_DELETE_WAITERS = Statement(delete(waiters))


@dataclass(frozen=True, slots=True)
class Restored:
    """Result of a restore: the paths of the replaced database and its logs, and the number of `released` leases.

    New leases get fences above `fence_floor`. `clock_lowered_ms` is the decrease of database time.
    """

    previous: Path | None
    logs: tuple[Path, ...]
    epoch: str
    fence_floor: int
    released: int
    clock_lowered_ms: int


@dataclass(frozen=True, slots=True)
class _CurrentState:
    """State of the replaced database: its latest instant, the fence floor, and its newest event."""

    high: int
    fence_floor: int
    head: HeadFields | None = None


def restore(source: Path, database: Path, now: int, *, force: bool = False) -> Restored:
    """Replace the database by the backup `source` atomically, verify it, and return the result.

    `now` is milliseconds since the epoch. `force` allows contents that do not match the events. Raises BackupError for
    a damaged backup, and DatabaseInUse when a process has the database open: nothing changes then. Raises
    RestoreNotVerified when the new file cannot be read back.
    """
    database = database.resolve()
    _check_source(source, database, force=force)
    try:
        private_files.make_folder(database.parent)
        present = _checkpoint_current(database, now)
        with private_files.workspace(database, "restoring") as prepared:
            _copy(source, prepared)
            restored = _start_epoch(prepared, now, present)
            kept, logs = _replace(database, prepared, now)
    except OSError as error:
        raise backup.write_error(f"the database {database.name}", database.parent, error) from error
    except driver.DriverError as error:
        if driver.is_full(error):
            raise backup.disk_full(f"the database {database.name}", database.parent) from error
        raise
    _read_back(database, restored.epoch, kept)
    return replace(restored, previous=kept, logs=tuple(logs))


def _replace(database: Path, prepared: Path, now: int) -> tuple[Path | None, list[Path]]:
    """Rename the prepared file to the database path. Return the paths of the kept database and logs.

    The new file gets the owner and permissions of the replaced database, else mode 0600 and the owner of its folder.
    """
    with _exclusive_access(database):
        name = _backup_name_of_current(database, now)
        kept = _move_aside(database, name)
        logs = files.move_logs(database, name)
        files.copy_ownership(prepared, kept or database.parent, mode=kept is not None)
        try:
            backup.replace_file(prepared, database)
            backup.checksum_path(database).unlink(missing_ok=True)
        except OSError as error:
            if prepared.exists():
                raise
            raise _not_verified(database, f"may not be on disk: {error.strerror}", kept) from error
    return kept, logs


def _check_source(source: Path, database: Path, *, force: bool) -> None:
    if not source.is_file():
        raise BackupError(f"backup {source} not found")
    if database.exists() and source.samefile(database):
        raise BackupError("the backup is the database itself; choose another file")
    found = backup.check_file(source)
    if found.problems:
        raise BackupError(f"the backup {source} is damaged: {'; '.join(found.problems)}")
    if found.differences and not force:
        raise BackupError(
            f"the backup {source} does not match its events: {'; '.join(found.differences)}. Choose an older backup, "
            "or use --force"
        )


def _copy(source: Path, prepared: Path) -> None:
    try:
        connection = backup.open_read_only(source)
        try:
            backup.copy(connection, prepared)
        finally:
            connection.close()
    except driver.DriverError as error:
        # The backup was verified just before, so the disk has failed. The driver gives no error name for a copy.
        raise TemporaryBackupError(f"the backup {source} cannot be copied now: {error}") from error


def _checkpoint_current(database: Path, now: int) -> _CurrentState:
    """Write the log of the present database into its file and return its state. Raises DatabaseInUse.

    For a missing or unreadable database, the usual reason for a restore, `now` is the instant and the fence floor.
    """
    with _exclusive_access(database):
        pass
    if not database.exists() or database.stat().st_size == 0 or files.foreign_logs(database):
        return _CurrentState(now, now)
    try:
        connection = driver.connect(str(database))
        try:
            connection.execute("PRAGMA busy_timeout=200")
            tx = Tx(connection, now, SYSTEM, "", 0)
            tx.now = max(now, meta.clock_high(tx))
            instances.check_unused(tx)
            floor = max(tx.now, new_epoch.next_fence_floor(tx))
            head = new_epoch.head_of(tx)
            backup.fold_wal(connection)
            return _CurrentState(tx.now, floor, head)
        finally:
            connection.close()
    except driver.DriverError as error:
        if driver.is_busy(error):
            raise DatabaseInUse(_in_use(database)) from error
        return _CurrentState(now, now)


@contextmanager
def _exclusive_access(database: Path) -> Iterator[None]:
    """Hold the locks that each connection needs. Raises DatabaseInUse."""
    with files.exclusive_locks(database) as free:
        if not free:
            raise DatabaseInUse(_in_use(database))
        yield


def _in_use(database: Path) -> str:
    removed = "" if database.exists() else ", although the file was removed"
    return (
        f"the database {database} is open in a process{removed}: stop the server and every other process that uses "
        "it, then restore"
    )


def _start_epoch(prepared: Path, now: int, present: _CurrentState) -> Restored:
    """Begin a new epoch in the prepared file and return the result. It starts at `now` or at a later database time."""
    connection = driver.connect(str(prepared))
    try:
        connection.execute(driver.BEGIN_WRITE)
        tx = Tx(connection, now, SYSTEM, "", 0)
        high = max(present.high, meta.clock_high(tx))
        # Database time begins at its last instant, unless that is so far ahead that the clock was probably wrong.
        tx.now = now if high - now > JUMP_MS else max(now, high)
        begun = new_epoch.begin(tx, max(high, present.fence_floor), present.head)
        _lower_clock(tx)
        _DELETE_INSTANCES.run(tx)
        _DELETE_WAITERS.run(tx)
        connection.execute("COMMIT")
        backup.fold_wal(connection)
    finally:
        connection.close()
    return Restored(None, (), *begun, max(0, high - tx.now))


def _lower_clock(tx: Tx) -> None:
    """Set database time to `tx.now`, and lower later instants. All leases have ended, so it may go back."""
    meta.store_clock(tx, ClockMark(tx.now))
    for table, column in (("answers", "created_at"), ("agents", "last_seen_at"), ("ended_leases", "ended_at")):
        tx.connection.execute(f"UPDATE {table} SET {column} = ? WHERE {column} > ?", (tx.now, tx.now))  # noqa: S608
    tx.connection.execute("UPDATE tasks SET deferred = 1 WHERE deferred = 0 AND defer_until > ?", (tx.now,))


def _backup_name_of_current(database: Path, now: int) -> str:
    """Return an unused file name in the folder of the database."""
    name = f"{database.name}.before-restore-{sortable_timestamp(now)}"
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(free for free in names if not database.with_name(free).exists())


def _move_aside(database: Path, name: str) -> Path | None:
    """Keep the present database under another name in its folder and return the path, or None without a database."""
    if not database.exists():
        return None
    kept = database.with_name(name)
    try:
        os.link(database, kept)
    except OSError:
        private_files.create(kept)
        shutil.copyfile(database, kept)
        files.copy_ownership(kept, database, mode=True)
    return kept


def _read_back(database: Path, epoch: str, kept: Path | None) -> None:
    """Raise RestoreNotVerified unless the database at this path is intact and has this epoch."""
    try:
        problem = _problem_of(database, epoch)
    except (BackupError, OSError, driver.DriverError) as error:
        problem = f"cannot be read back: {error}"
    if problem is not None:
        raise _not_verified(database, problem, kept)


def _not_verified(database: Path, problem: str, kept: Path | None) -> RestoreNotVerified:
    previous = "" if kept is None else f"; the previous database is kept as {kept}"
    return RestoreNotVerified(
        f"the database {database} was replaced, but the new file {problem}{previous}. Check the disk, and restore "
        "again before you start the service"
    )


def _problem_of(database: Path, epoch: str) -> str | None:
    """Return the problem of the database at this path, or None when it is intact and has this epoch."""
    found = backup.check_file(database)
    if found.problems:
        return f"is damaged: {'; '.join(found.problems)}"
    connection = backup.open_read_only(database)
    try:
        present = meta.epoch(Tx(connection, 0, SYSTEM, "", 0))
    finally:
        connection.close()
    return None if present == epoch else "was replaced by another process"
