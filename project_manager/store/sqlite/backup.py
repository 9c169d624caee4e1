"""Copies of a database that is in use: taken through SQLite's online backup, and read back before they count.

SQLite has no checksums of its own, so that a flipped bit may go unseen by its integrity check; the SHA-256 beside each
backup sees every one.
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

from project_manager.clock import stamp
from project_manager.store import revisions
from project_manager.store.chain import Head
from project_manager.store.sqlite import access, checks, driver, files, private_files
from project_manager.store.sqlite.checks import Examination

_CHUNK = 1024 * 1024


class BackupRefused(Exception):
    """One sentence that says why no backup was taken, or why this one is not used; nothing was changed."""


class NotNow(BackupRefused):
    """Refusal because of the state of the machine, such as a full disk. The database may be whole."""


class InUse(NotNow):
    """A process has the database open."""


class Unchecked(NotNow):
    """The check of a database could not run, so that nothing is known about it."""


class NewerRelease(Unchecked):
    """The database has the schema of a newer release, which alone can check or copy it."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was read back and found whole. `head` is its newest event.

    It is kept although its contents have `differences` from its events: later work must not be lost because of them.
    """

    path: Path
    bytes: int
    sha256: str
    revision: str
    head: Head | None = None
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verified:
    """When a backup was last found whole (seconds since the epoch), and how long taking and checking it took."""

    at: float
    seconds: float


def back_up(database: Path, target: Path, mode: int = private_files.FILE_MODE) -> Backup:
    """Copy the database to `target`, replacing what is there only when the copy is whole.

    The copy gets the permissions `mode`, and from an administrator the owner and the group of its folder.
    Raises BackupRefused.
    """
    if not database.is_file():
        raise BackupRefused(f"there is no database at {database}")
    if target.exists() and target.samefile(database):
        raise BackupRefused("a backup cannot be the database itself")
    if not target.parent.is_dir():
        raise BackupRefused(f"there is no folder {target.parent}")
    if mixed := _foreign_logs(database):
        raise BackupRefused(f"{mixed[0]} belongs to another database than {database.name}: move it away")
    _check_logs_of_target(target)
    try:
        _remove_leftovers(target, database)
        with private_files.workspace(target, "unfinished") as unfinished:
            digest, found = _copy_whole(database, unfinished)
            sidecar_of(target).unlink(missing_ok=True)  # a crash must not leave an old checksum beside the new file
            _hand_over(unfinished, target.parent, mode)
            put(unfinished, target)
        with _written(sidecar_of(target), f"{digest}  {target.name}\n") as sidecar:
            _hand_over(sidecar, target.parent, mode)
    except OSError as error:
        raise unwritable(f"the backup {target.name}", target.parent, error) from error
    except driver.DriverError as error:
        raise _uncopied(database, target, error) from error
    size, revision = target.stat().st_size, found.revision or ""
    return Backup(target, size, digest, revision, found.head, found.differences)


def _copy_whole(database: Path, unfinished: Path) -> tuple[str, Examination]:
    """Copy the database, read the copy back and return its checksum and the examination. Raises BackupRefused."""
    _copy_in_use(database, unfinished)
    found = examine(unfinished)
    if found.faults or found.revision is None:
        raise BackupRefused(f"the copy of {database} is not whole: {'; '.join(found.faults) or 'it has no schema'}")
    return checksum(unfinished), found


def _hand_over(path: Path, folder: Path, mode: int) -> None:
    """Give a finished file the permissions `mode`, and the owner and the group of its folder."""
    files.give_like(path, folder)
    path.chmod(mode)


def name_in(folder: Path, database: Path, now: int) -> Path:
    """The name of a backup taken at `now` (milliseconds since the epoch)."""
    return folder / f"{database.stem}-{stamp(now)}.db"


def keep_newest(folder: Path, database: Path, count: int) -> list[Path]:
    """Removes all but the `count` newest backups of this database that `name_in` has named; those that went."""
    named = _named(database)
    found = sorted((path for path in folder.iterdir() if named.fullmatch(path.name)), key=lambda path: path.name)
    old = found[:-count] if count else found
    for path in old:
        sidecar_of(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    return old


def unwritable(what: str, folder: Path, error: OSError) -> BackupRefused:
    """Return the refusal for a file that cannot be written into a folder: NotNow for a full disk."""
    kind = NotNow if error.errno in (errno.ENOSPC, errno.EDQUOT) else BackupRefused
    reason = access.of_folder(folder) if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) else None
    return kind(f"{what} cannot be written to the folder {folder}: {reason or error.strerror}")


def disk_full(what: str, folder: Path) -> NotNow:
    """Return the refusal for a file for which SQLite has found no room in a folder."""
    return NotNow(f"{what} cannot be written to the folder {folder}: the disk is full")


def examine(path: Path, *, sealed: bool = True, published: Iterable[Head] = ()) -> Examination:
    """Read a database file from end to end and change nothing.

    `sealed`: it is a backup, so that a checksum beside it counts. `published`: heads of the hash chain that must be
    part of it. Raises Unchecked when a check could not run, and NewerRelease when no fault was found in a database of a
    newer release.
    """
    try:
        if not files.is_database(path):
            return Examination(None, ("it is not a database",))
        if mixed := files.foreign_logs(path):
            return Examination(None, (f"{mixed[0].name} beside it belongs to another database: move it away",))
        faults = _checksum_faults(path) if sealed else ()
        found = _examine_contents(path, published)
        if found.faults:
            _read_through(path)  # SQLite reports a page that the disk does not give as a fault of the database
    except OSError as error:
        raise Unchecked(f"{path} cannot be checked now: {error.strerror}") from error
    except driver.DriverError as error:
        raise Unchecked(f"{path} cannot be checked now: {_reason(path, error)}") from error
    faults = (*faults, *found.faults)
    if found.newer and not faults:
        raise NewerRelease(revisions.use_newer(path, str(found.revision)))
    return replace(found, faults=faults)


def _read_through(path: Path) -> None:
    """Read the file and its log to the end. Raises OSError when the disk does not give them."""
    for file in (path, *files.logs_of(path)):
        checksum(file)


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sidecar_of(path: Path) -> Path:
    """The file with the checksum, in the form that sha256sum reads."""
    return path.with_name(f"{path.name}.sha256")


def put(finished: Path, target: Path) -> None:
    """Makes a finished file durable and gives it its name in one step."""
    with finished.open("rb") as file:
        os.fsync(file.fileno())
    finished.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def note_verified(database: Path, verified: Verified) -> None:
    """Leave beside the database when it was last backed up, for the metrics of the processes that serve it.

    Raises BackupRefused.
    """
    note = _note_of(database)
    try:
        with _written(note, json.dumps({"at": verified.at, "seconds": verified.seconds}) + "\n") as unfinished:
            files.give_like(unfinished, database, mode=True)  # each process that can read the database reads the note
    except OSError as error:
        raise unwritable(f"the note {note.name} of the backup", note.parent, error) from error


def last_verified(database: Path) -> Verified | None:
    """What the last backup of this database left; None when there was none."""
    try:
        note = json.loads(_note_of(database).read_text())
        return Verified(float(note["at"]), float(note["seconds"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def single_file(connection: Any) -> None:
    """Ends the write-ahead log, so that the database is one file again."""
    connection.execute("PRAGMA journal_mode=DELETE").fetchone()


def opened_to_read(path: Path) -> Any:
    """Open a connection that leaves the file as it is, its journal mode included."""
    how = "immutable=1" if _cannot_change(path) else "mode=ro"
    return driver.driver.connect(f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None)


def copy(source: Any, target: Path) -> None:
    """Writes what the connection `source` sees, its write-ahead log included, as a single file."""
    connection = driver.driver.connect(str(target), isolation_level=None)
    try:
        source.backup(connection)
        single_file(connection)
    finally:
        connection.close()


def _copy_in_use(database: Path, target: Path) -> None:
    writable = os.access(database, os.W_OK) and os.access(database.resolve().parent, os.W_OK)
    source = driver.connect(str(database), read_only=True) if writable else opened_to_read(database)
    try:
        if revision := revisions.made_by_newer(source):
            raise NewerRelease(revisions.use_newer(database, revision))
        copy(source, target)
    finally:
        source.close()


def _checksum_faults(path: Path) -> tuple[str, ...]:
    sidecar = sidecar_of(path)
    try:
        written = sidecar.read_text(errors="replace").split()
    except FileNotFoundError:
        return ()
    if not written:
        return (f"{sidecar.name} holds no checksum",)
    if written[0] != checksum(path):
        return (f"its checksum is not the one in {sidecar.name}: a byte of it has changed",)
    return ()


def _examine_contents(path: Path, published: Iterable[Head]) -> Examination:
    """Check the contents of the file. Raises the driver's error when a check could not run."""
    stood_still = _cannot_change(path)
    connection = opened_to_read(path)
    connection.text_factory = _text
    try:
        connection.execute("BEGIN")
        found = checks.inside(connection, published)
        if found.faults and stood_still and not _cannot_change(path):
            raise Unchecked(f"{path} cannot be checked now: a process has opened it during the check")
        return found
    except driver.DriverError as error:
        if driver.is_damage(error) or driver.error_name(error) == "SQLITE_ERROR":  # a table or column is missing
            return Examination(None, (f"it cannot be read: {error}",))
        raise
    finally:
        connection.close()


def _text(raw: bytes) -> str:
    """Decode a text that another program may have written: no bytes stop the checks."""
    return raw.decode("utf-8", "surrogateescape")


def _cannot_change(path: Path) -> bool:
    """Return whether the file has to be opened as immutable: SQLite cannot create its shared memory there.

    A log, even an empty one, shows that a process may be writing.
    """
    real = path.resolve()
    return not os.access(real.parent, os.W_OK) and not files.logs_of(real)


def _reason(path: Path, error: BaseException) -> str:
    if driver.is_busy(error):
        return "another process holds it"
    if files.logs_of(path) and not os.access(path.resolve().parent, os.W_OK):
        names = ", ".join(log.name for log in (path, *files.logs_of(path)))
        return f"its folder is not writable and a log lies beside it; copy {names} to another folder and check the copy"
    return str(error)


def _foreign_logs(database: Path) -> list[Path]:
    try:
        return files.foreign_logs(database)
    except OSError as error:
        raise Unchecked(f"the database {database} cannot be read now: {error.strerror}") from error


def _check_logs_of_target(target: Path) -> None:
    """Raise BackupRefused when SQLite would mix a log that lies there into the backup."""
    try:
        with files.locked(target) as free:
            if not free:
                raise InUse(f"{target} is a database that a process has open")
    except OSError as error:
        raise unwritable(f"the backup {target.name}", target.parent, error) from error
    if left := [log for log in files.logs_of(target) if not log.name.endswith("-shm")]:
        raise BackupRefused(
            f"{left[0]} is left over from another database, and SQLite would take it for a part of the backup: "
            "move it away, or name another file"
        )


def _uncopied(database: Path, target: Path, error: Exception) -> BackupRefused:
    if driver.is_full(error):
        return disk_full(f"the backup {target.name}", target.parent)
    if driver.is_busy(error):
        return InUse(f"the database {database} cannot be copied now: another process holds it")
    if driver.is_damage(error):
        return BackupRefused(f"the database {database} cannot be copied: {error}")
    return NotNow(f"the database {database} cannot be copied now: {error}")


@contextmanager
def _written(path: Path, text: str) -> Iterator[Path]:
    """Write a file in one step. Yields the unfinished file, so that it can get its owner and permissions first."""
    with private_files.workspace(path, "unfinished") as unfinished:
        unfinished.write_text(text)
        yield unfinished
        put(unfinished, path)


def _remove_leftovers(target: Path, database: Path) -> None:
    """Remove what killed backups of this database have left in the folder of the target."""
    named = _named(database)
    private_files.remove_leftovers(
        target.parent, lambda name: name == target.name or named.fullmatch(name.removesuffix(".sha256")) is not None
    )


def _named(database: Path) -> re.Pattern[str]:
    """Return the pattern of the names that `name_in` gives."""
    return re.compile(rf"{re.escape(database.stem)}-[0-9]{{8}}T[0-9]{{9}}Z\.db")


def _note_of(database: Path) -> Path:
    return database.with_name(f"{database.name}.last-backup.json")
