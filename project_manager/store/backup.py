"""Copies of a database that is in use: taken through SQLite's online backup, and read back before they count.

SQLite has no checksums of its own, so that a flipped bit may go unseen by its integrity check; the SHA-256 beside each
backup sees every one.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from project_manager.clock import rfc3339
from project_manager.domain.actors import SYSTEM
from project_manager.store import bulk, dialect, revisions
from project_manager.store.compiled import Statement
from project_manager.store.schema import events
from project_manager.store.transaction import Tx

_HEADER = b"SQLite format 3\x00"
_CHUNK = 1024 * 1024
_SHOWN = 20

_GAPS = Statement(
    select(func.coalesce(func.max(events.c.seq) - func.min(events.c.seq) + 1 - func.count(), 0)).select_from(events)
)


class BackupRefused(Exception):
    """One sentence that says why no backup was taken, or why this one is not used; nothing was changed."""


class InUse(BackupRefused):
    """A process has the database open."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found in a database file. Without faults it is whole; `revision` is its schema."""

    revision: str | None
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was read back and found whole."""

    path: Path
    bytes: int
    sha256: str
    revision: str


@dataclass(frozen=True, slots=True)
class Verified:
    """When a backup was last found whole (seconds since the epoch), and how long taking and checking it took."""

    at: float
    seconds: float


def back_up(database: Path, target: Path) -> Backup:
    """Copies the database to `target`, replacing what is there only when the copy is whole. Raises BackupRefused."""
    if not database.is_file():
        raise BackupRefused(f"there is no database at {database}")
    if target.exists() and target.samefile(database):
        raise BackupRefused("a backup cannot be the database itself")
    if not target.parent.is_dir():
        raise BackupRefused(f"there is no folder {target.parent}")
    if target.with_name(f"{target.name}-wal").exists():
        raise InUse(f"{target} is a database that a process has open")
    unfinished = target.with_name(f".{target.name}.unfinished-{os.getpid()}")
    try:
        _copy_in_use(database, unfinished)
        found = examine(unfinished)
        if found.faults or found.revision is None:
            raise BackupRefused(f"the copy of {database} is not whole: {'; '.join(found.faults) or 'it has no schema'}")
        digest = checksum(unfinished)
        sidecar_of(target).unlink(missing_ok=True)
        put(unfinished, target)
        _write(sidecar_of(target), f"{digest}  {target.name}\n")
    except OSError as error:
        raise BackupRefused(f"the backup {target} cannot be written: {error.strerror}") from error
    except dialect.DriverError as error:
        raise BackupRefused(f"the database {database} cannot be copied: {error}") from error
    finally:
        remove(unfinished)
    return Backup(target, target.stat().st_size, digest, found.revision)


def name_in(folder: Path, database: Path, now: int) -> Path:
    """The name of a backup taken at `now` (milliseconds since the epoch)."""
    return folder / f"{database.stem}-{stamp(now)}.db"


def keep_newest(folder: Path, database: Path, count: int) -> list[Path]:
    """Removes all but the `count` newest backups of this database that `name_in` has named; those that went."""
    pattern = re.compile(rf"{re.escape(database.stem)}-[0-9]{{8}}T[0-9]{{9}}Z\.db")
    found = sorted((path for path in folder.iterdir() if pattern.fullmatch(path.name)), key=lambda path: path.name)
    old = found[:-count] if count else found
    for path in old:
        sidecar_of(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    return old


def examine(path: Path) -> Examination:
    """Reads a database file from end to end and changes nothing. Raises BackupRefused when it cannot be read."""
    try:
        with path.open("rb") as file:
            if file.read(len(_HEADER)) != _HEADER:
                return Examination(None, ("it is not a database",))
    except OSError as error:
        raise BackupRefused(f"{path} cannot be read: {error.strerror}") from error
    faults = _checksum_faults(path)
    try:
        connection = opened_to_read(path)
        try:
            connection.execute("BEGIN")
            revision, found = _examine_inside(connection)
        finally:
            connection.close()
    except dialect.DriverError as error:
        return Examination(None, (*faults, f"it cannot be read: {error}"))
    return Examination(revision, (*faults, *found))


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


def remove(path: Path) -> None:
    """Removes a database file and what SQLite leaves beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(NotADirectoryError):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def stamp(now: int) -> str:
    """`20261123T100000123Z`: names that sort by time."""
    return re.sub(r"[-:.]", "", rfc3339(now))


def note_verified(database: Path, verified: Verified) -> None:
    """Leaves beside the database when it was last backed up, for the metrics of the processes that serve it."""
    _write(_note_of(database), json.dumps({"at": verified.at, "seconds": verified.seconds}) + "\n")


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
    """A connection that leaves the file as it is, its journal mode included."""
    return dialect.driver.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def copy(source: Any, target: Path) -> None:
    """Writes what the connection `source` sees, its write-ahead log included, as a single file."""
    connection = dialect.driver.connect(str(target), isolation_level=None)
    try:
        source.backup(connection)
        single_file(connection)
    finally:
        connection.close()


def _copy_in_use(database: Path, target: Path) -> None:
    source = dialect.connect(str(database), read_only=True)
    try:
        copy(source, target)
    finally:
        source.close()


def _checksum_faults(path: Path) -> tuple[str, ...]:
    try:
        written = sidecar_of(path).read_text().split()
    except OSError:
        return ()
    if not written or written[0] != checksum(path):
        return (f"its checksum is not the one in {sidecar_of(path).name}: a byte of it has changed",)
    return ()


def _examine_inside(connection: Any) -> tuple[str | None, list[str]]:
    execute: Callable[..., Any] = connection.execute
    faults = [row[0] for row in execute(f"PRAGMA integrity_check({_SHOWN})") if row[0] != "ok"]
    if faults:
        return None, faults
    faults = [f"a row of {row[0]} refers to a missing row of {row[2]}" for row in execute("PRAGMA foreign_key_check")][
        :_SHOWN
    ]
    revision = revisions.present(connection)
    if revision is None:
        faults.append("it has no schema of this program")
    elif revision not in revisions.known() and not revisions.fits(connection):
        faults.append(f"its schema {revision} is newer than {revisions.head()} of this release")
    elif revision == revisions.head():
        tx = Tx(execute, 0, SYSTEM, "", 0)
        gaps = int(_GAPS.value(tx))
        faults += [f"{gaps} events are missing between the first and the last"] if gaps else []
        faults += [f"task {task_id} has wrong counters of its dependencies" for task_id in bulk.miscounted(tx, _SHOWN)]
    return revision, faults


def _write(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.unfinished-{os.getpid()}")
    unfinished.write_text(text)
    put(unfinished, path)


def _note_of(database: Path) -> Path:
    return database.with_name(f"{database.name}.last-backup.json")
