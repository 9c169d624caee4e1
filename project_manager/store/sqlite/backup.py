"""Backups of a database in use, made with SQLite's online backup and verified before they are accepted.

SQLite's integrity check can miss a flipped bit. The SHA-256 file next to each backup detects it.
"""

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from project_manager.clock import sortable_timestamp
from project_manager.store import revisions
from project_manager.store.backend import Verified
from project_manager.store.chain import Head
from project_manager.store.checks import CheckResult
from project_manager.store.errors import (
    BackupError,
    CheckNotPossible,
    DatabaseInUse,
    OtherRelease,
    TemporaryBackupError,
)
from project_manager.store.sqlite import access, checks, driver, files, private_files

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Backup:
    """A verified backup. `head` is its newest event.

    A backup with `differences` between its contents and its events is kept, because it may have the newest work.
    """

    path: Path
    bytes: int
    sha256: str
    revision: str
    head: Head | None = None
    differences: tuple[str, ...] = ()


def back_up(database: Path, target: Path, mode: int = private_files.FILE_MODE) -> Backup:
    """Copy the database to `target`, check the copy, and return the backup. Raises BackupError.

    An existing file is replaced only when the copy is intact. The copy gets the permissions `mode`. When an
    administrator runs the backup, the copy also gets the owner of its folder.
    """
    if not database.is_file():
        raise BackupError(f"no database at {database}")
    if target.exists() and target.samefile(database):
        raise BackupError("the backup target is the database itself; choose another file")
    if not target.parent.is_dir():
        raise BackupError(f"folder {target.parent} not found")
    if mixed := _foreign_logs(database):
        raise BackupError(f"{mixed[0]} belongs to another database than {database.name}; move it")
    _check_logs_of_target(target)
    try:
        _remove_leftovers(target, database)
        with private_files.workspace(target, "unfinished") as unfinished:
            digest, found = _copy_and_check(database, unfinished)
            checksum_path(target).unlink(missing_ok=True)  # a crash must not leave an old checksum next to the new file
            _set_ownership(unfinished, target.parent, mode)
            replace_file(unfinished, target)
        with _written(checksum_path(target), f"{digest}  {target.name}\n") as sidecar:
            _set_ownership(sidecar, target.parent, mode)
    except OSError as error:
        raise write_error(f"the backup {target.name}", target.parent, error) from error
    except driver.DriverError as error:
        raise _copy_error(database, target, error) from error
    size, revision = target.stat().st_size, found.revision or ""
    return Backup(target, size, digest, revision, found.head, found.differences)


def _copy_and_check(database: Path, unfinished: Path) -> tuple[str, CheckResult]:
    """Copy the database, check the copy, and return its checksum and the result. Raises BackupError."""
    _copy_in_use(database, unfinished)
    found = check_file(unfinished)
    if found.problems or found.revision is None:
        raise BackupError(f"the copy of {database} is damaged: {'; '.join(found.problems) or 'it has no schema'}")
    return checksum(unfinished), found


def _set_ownership(path: Path, folder: Path, mode: int) -> None:
    """Set the permissions `mode` on a finished file, and the owner and group of its folder."""
    files.copy_ownership(path, folder)
    path.chmod(mode)


def backup_name(folder: Path, database: Path, now: int) -> Path:
    """Return the path of a backup taken at `now` (milliseconds since the epoch)."""
    return folder / f"{database.stem}-{sortable_timestamp(now)}.db"


def keep_newest(folder: Path, database: Path, count: int) -> list[Path]:
    """Delete all but the `count` newest backups named by `backup_name` and return the deleted paths."""
    named = _named(database)
    found = sorted((path for path in folder.iterdir() if named.fullmatch(path.name)), key=lambda path: path.name)
    old = found[:-count] if count else found
    for path in old:
        checksum_path(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    return old


def write_error(subject: str, folder: Path, error: OSError) -> BackupError:
    """Return the error for a file that cannot be written: TemporaryBackupError when the disk is full."""
    kind = TemporaryBackupError if error.errno in (errno.ENOSPC, errno.EDQUOT) else BackupError
    reason = access.folder_problem(folder) if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) else None
    return kind(f"{subject} cannot be written to the folder {folder}: {reason or error.strerror}")


def disk_full(subject: str, folder: Path) -> TemporaryBackupError:
    """Return the refusal for a file that SQLite cannot write because the disk is full."""
    return TemporaryBackupError(f"{subject} cannot be written to the folder {folder}: the disk is full")


def check_file(
    path: Path, *, sealed: bool = True, published: Iterable[Head] = (), with_flow: bool = False
) -> CheckResult:
    """Check a database file from end to end without changes and return the result.

    `sealed` marks the file as a backup, so the checksum file next to it is compared. The hash chain must contain the
    heads in `published`. With `with_flow`, the roll-ups of the flow are compared with the events. Raises
    CheckNotPossible when a check could not run. Raises OtherRelease when a database of another release has no fault.
    """
    try:
        if not files.is_database(path):
            return CheckResult(None, ("it is not a database",))
        if mixed := files.foreign_logs(path):
            return CheckResult(None, (f"{mixed[0].name} next to it belongs to another database; move it",))
        problems = _checksum_faults(path) if sealed else ()
        found = _examine_contents(path, published, with_flow)
        if found.problems:
            _read_through(path)  # SQLite reports an unreadable disk page as a fault of the database
    except OSError as error:
        raise CheckNotPossible(f"{path} cannot be checked now: {error.strerror}") from error
    except driver.DriverError as error:
        raise CheckNotPossible(f"{path} cannot be checked now: {_reason(path, error)}") from error
    problems = (*problems, *found.problems)
    if found.of_other_release and not problems:
        raise OtherRelease(revisions.other_release_message(str(path), str(found.revision)))
    return replace(found, problems=problems)


def _read_through(path: Path) -> None:
    """Read the file and its logs to the end. Raises OSError when the disk cannot read them."""
    for file in (path, *files.logs_of(path)):
        checksum(file)


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def checksum_path(path: Path) -> Path:
    """Return the path of the checksum file, which has the format of sha256sum."""
    return path.with_name(f"{path.name}.sha256")


def replace_file(finished: Path, target: Path) -> None:
    """Flush a finished file to disk and rename it to `target` atomically."""
    with finished.open("rb") as file:
        os.fsync(file.fileno())
    finished.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def record_verification(database: Path, verified: Verified) -> None:
    """Write the time of the last backup to a file that servers read for their metrics. Raises BackupError."""
    note = _note_of(database)
    try:
        with _written(note, json.dumps({"at": verified.at, "seconds": verified.seconds}) + "\n") as unfinished:
            files.copy_ownership(unfinished, database, mode=True)  # processes that read the database can read the note
    except OSError as error:
        raise write_error(f"the note {note.name} of the backup", note.parent, error) from error


def last_verified(database: Path) -> Verified | None:
    """Return the note of the last backup of this database, or None when there is no valid note."""
    try:
        note = json.loads(_note_of(database).read_text())
        return Verified(float(note["at"]), float(note["seconds"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def fold_wal(connection: Any) -> None:
    """Switch off the write-ahead log, so that the database is a single file."""
    connection.execute("PRAGMA journal_mode=DELETE").fetchone()


def open_read_only(path: Path) -> Any:
    """Open and return a read-only connection that does not change the file or its journal mode."""
    how = "immutable=1" if _cannot_change(path) else "mode=ro"
    uri = f"{path.absolute().as_uri()}?{how}"
    return driver.driver.connect(uri, uri=True, isolation_level=None, factory=driver.Connection)


def copy(source: Any, target: Path) -> None:
    """Write the contents visible to the connection `source`, write-ahead log included, to a single file."""
    connection = driver.driver.connect(str(target), isolation_level=None)
    try:
        source.backup(connection)
        fold_wal(connection)
    finally:
        connection.close()


def _copy_in_use(database: Path, target: Path) -> None:
    writable = os.access(database, os.W_OK) and os.access(database.resolve().parent, os.W_OK)
    source = driver.connect(str(database), read_only=True) if writable else open_read_only(database)
    try:
        if revision := revisions.other_revision(source):
            raise OtherRelease(revisions.other_release_message(str(database), revision))
        copy(source, target)
    finally:
        source.close()


def _checksum_faults(path: Path) -> tuple[str, ...]:
    sidecar = checksum_path(path)
    try:
        written = sidecar.read_text(errors="replace").split()
    except FileNotFoundError:
        return ()
    if not written:
        return (f"{sidecar.name} contains no checksum",)
    if written[0] != checksum(path):
        return (f"its checksum does not match {sidecar.name}",)
    return ()


def _examine_contents(path: Path, published: Iterable[Head], with_flow: bool) -> CheckResult:
    """Check the contents of the file and return the result. Raises DriverError when a check could not run."""
    was_immutable = _cannot_change(path)
    connection = open_read_only(path)
    connection.text_factory = _text
    try:
        connection.execute("BEGIN")
        found = checks.check_contents(connection, published, with_flow=with_flow)
        if found.problems and was_immutable and not _cannot_change(path):
            raise CheckNotPossible(f"{path} cannot be checked now: another process opened it during the check")
        return found
    except driver.DriverError as error:
        if driver.is_damage(error) or driver.error_name(error) == "SQLITE_ERROR":  # a table or column is missing
            return CheckResult(None, (f"it cannot be read: {error}",))
        raise
    finally:
        connection.close()


def _text(raw: bytes) -> str:
    """Decode a text that another program may have written. Invalid bytes do not stop the checks."""
    return raw.decode("utf-8", "surrogateescape")


def _cannot_change(path: Path) -> bool:
    """Return whether the file must be opened as immutable because SQLite cannot create its shared memory there.

    A log, even an empty one, shows that a process may be writing. Such a file is not opened as immutable.
    """
    real = path.resolve()
    return not os.access(real.parent, os.W_OK) and not files.logs_of(real)


def _reason(path: Path, error: BaseException) -> str:
    if driver.is_busy(error):
        return "it is locked by another process"
    if files.logs_of(path) and not os.access(path.resolve().parent, os.W_OK):
        names = ", ".join(log.name for log in (path, *files.logs_of(path)))
        return f"its folder is not writable and it has a log; copy {names} to another folder and check the copy"
    return str(error)


def _foreign_logs(database: Path) -> list[Path]:
    try:
        return files.foreign_logs(database)
    except OSError as error:
        raise CheckNotPossible(f"the database {database} cannot be read now: {error.strerror}") from error


def _check_logs_of_target(target: Path) -> None:
    """Raise BackupError when the target is in use or SQLite would read a leftover log into the backup."""
    try:
        with files.exclusive_locks(target) as free:
            if not free:
                raise DatabaseInUse(f"{target} is open in a process; choose another file")
    except OSError as error:
        raise write_error(f"the backup {target.name}", target.parent, error) from error
    if left := [log for log in files.logs_of(target) if not log.name.endswith("-shm")]:
        raise BackupError(
            f"{left[0]} belongs to another database, and SQLite would read it as part of the backup; move it, or "
            "choose another file"
        )


def _copy_error(database: Path, target: Path, error: Exception) -> BackupError:
    if driver.is_full(error):
        return disk_full(f"the backup {target.name}", target.parent)
    if driver.is_busy(error):
        return DatabaseInUse(f"the database {database} cannot be copied now: it is locked by another process")
    if driver.is_damage(error):
        return BackupError(f"the database {database} cannot be copied: {error}")
    return TemporaryBackupError(f"the database {database} cannot be copied now: {error}")


@contextmanager
def _written(path: Path, text: str) -> Iterator[Path]:
    """Write a file atomically. Yield the unfinished file, so that the caller can set owner and permissions first."""
    with private_files.workspace(path, "unfinished") as unfinished:
        unfinished.write_text(text)
        yield unfinished
        replace_file(unfinished, path)


def _remove_leftovers(target: Path, database: Path) -> None:
    """Delete leftover files of killed backups of this database from the folder of the target."""
    named = _named(database)
    private_files.remove_leftovers(
        target.parent, lambda name: name == target.name or named.fullmatch(name.removesuffix(".sha256")) is not None
    )


def _named(database: Path) -> re.Pattern[str]:
    """Return the pattern of the file names that `backup_name` returns."""
    return re.compile(rf"{re.escape(database.stem)}-[0-9]{{8}}T[0-9]{{9}}Z\.db")


def _note_of(database: Path) -> Path:
    return database.with_name(f"{database.name}.last-backup.json")
