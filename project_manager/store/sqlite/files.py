"""The files of one database: the logs that SQLite keeps beside it, the processes that have them open, their owner."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

LOGS = ("-wal", "-shm", "-journal")
PROCESSES = Path("/proc")

# Bytes on which each connection holds a shared lock: www.sqlite.org/fileformat2.html ("the lock-byte page") for the
# database file, and byte 128 of the shared memory (UNIX_SHM_DMS in SQLite's os_unix.c).
_LOCKED_BYTES = {"": (0x40000002, 510), "-shm": (128, 1)}

_MAGIC = b"SQLite format 3\x00"
_VERSION_OF_ROLLBACK_MODE = 1


def beside(database: Path, suffix: str) -> Path:
    """Return the path at which SQLite keeps the log with this suffix. It follows symbolic links, as SQLite does."""
    real = database.resolve()
    return real.with_name(real.name + suffix)


def logs_of(database: Path) -> list[Path]:
    """Return the logs that exist."""
    return [log for log in (beside(database, suffix) for suffix in LOGS) if log.exists()]


def is_database(path: Path) -> bool:
    """Return whether the file begins as every SQLite database does. Raises OSError."""
    return _head(path).startswith(_MAGIC)


@contextmanager
def locked(database: Path) -> Iterator[bool]:
    """Hold the locks that every connection needs, of a database that may be gone.

    Yields False when a process has the database open, or had it open when the file was removed. Raises OSError.
    """
    with ExitStack() as held:
        free = [_lock(held, beside(database, suffix), *place) for suffix, place in _LOCKED_BYTES.items()]
        yield all(free) and not is_open_though_removed(database)


def is_open_though_removed(database: Path) -> bool:
    """Return whether a process of this machine has a removed file of this path open, as far as Linux shows it.

    Processes of other users are seen by an administrator only.
    """
    removed = {f"{beside(database, suffix)} (deleted)" for suffix in ("", "-wal")}
    return any(removed.intersection(_files_of(process)) for process in PROCESSES.glob("[0-9]*"))


def _files_of(process: Path) -> set[str]:
    """Return the files that a process has open, as Linux names them. Nothing when it has ended meanwhile."""
    found = set()
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                found.add(str(descriptor.readlink()))
    return found


def foreign_logs(database: Path, opened: ExitStack | None = None) -> list[Path]:
    """Return the logs that cannot belong to the file at this path, though SQLite would use them.

    These are all logs where no database is, and a write-ahead log beside a database in rollback mode. A log beside a
    database in WAL mode looks like its own. `opened` keeps the database file open: closing any descriptor of a file
    gives up all POSIX locks that the process has on it, those of `locked` included. Raises OSError.
    """
    found = [log for log in logs_of(database) if not log.name.endswith("-shm") and _size(log) > 0]
    if not found or not database.exists():
        return found
    if _size(database) > 0 and not _is_in_rollback_mode(database, opened):
        return []
    return [log for log in found if log.name.endswith("-wal")]


def move_logs(database: Path, name: str) -> list[Path]:
    """Rename the logs so that they belong to `name` in the same folder. Returns their new paths. Raises OSError."""
    moved = []
    for log in logs_of(database):
        suffix = log.name.removeprefix(database.resolve().name)
        with suppress(FileNotFoundError):  # the last connection removes its logs
            moved.append(log.replace(log.with_name(name + suffix)))
    return moved


def give_like(path: Path, model: Path, *, mode: bool = False) -> None:
    """Give the file the owner and the group of `model`, and its permissions with `mode`.

    An administrator makes files that the user of the service has to read and write. Other users cannot give files
    away, and keep them.
    """
    owner, present = model.stat(), path.stat()
    if (owner.st_uid, owner.st_gid) != (present.st_uid, present.st_gid):
        with suppress(PermissionError):
            os.chown(path, owner.st_uid, owner.st_gid)
    if mode:
        with suppress(PermissionError):
            shutil.copymode(model, path)


def _size(path: Path) -> int:
    """Return the size of a file, 0 when it was removed meanwhile. The last connection removes its logs."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _lock(held: ExitStack, path: Path, start: int, length: int) -> bool:
    try:
        file = held.enter_context(path.open("r+b"))
    except FileNotFoundError:
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _is_in_rollback_mode(database: Path, opened: ExitStack | None) -> bool:
    head = _head(database, opened)
    return head.startswith(_MAGIC) and head[18] == _VERSION_OF_ROLLBACK_MODE


def _head(path: Path, opened: ExitStack | None = None) -> bytes:
    with ExitStack() as own:
        return (own if opened is None else opened).enter_context(path.open("rb")).read(20)
