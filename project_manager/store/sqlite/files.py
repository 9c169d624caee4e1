"""The files of one database: the logs next to it, the processes that have them open, and their owner."""

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


def log_path(database: Path, suffix: str) -> Path:
    """Return the path of the log with this suffix. Symbolic links are resolved, as SQLite does."""
    real = database.resolve()
    return real.with_name(real.name + suffix)


def logs_of(database: Path) -> list[Path]:
    """Return the existing logs of the database."""
    return [log for log in (log_path(database, suffix) for suffix in LOGS) if log.exists()]


def is_database(path: Path) -> bool:
    """Return whether the file begins with the header of a SQLite database. Raises OSError."""
    return _head(path).startswith(_MAGIC)


@contextmanager
def exclusive_locks(database: Path) -> Iterator[bool]:
    """Hold the locks that every connection needs. The database file may be missing.

    Yield False when a process has the database open, also when its file was removed meanwhile. Raises OSError.
    """
    with ExitStack() as held:
        free = [_lock(held, log_path(database, suffix), *place) for suffix, place in _LOCKED_BYTES.items()]
        yield all(free) and not is_open_after_removal(database)


def is_open_after_removal(database: Path) -> bool:
    """Return whether a process on this machine has a removed file of this path open, according to /proc of Linux.

    Only an administrator can see the processes of other users.
    """
    removed = {f"{log_path(database, suffix)} (deleted)" for suffix in ("", "-wal")}
    return any(removed.intersection(_files_of(process)) for process in PROCESSES.glob("[0-9]*"))


def _files_of(process: Path) -> set[str]:
    """Return the open files of a process by their /proc names, or an empty set when the process has ended."""
    found = set()
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                found.add(str(descriptor.readlink()))
    return found


def foreign_logs(database: Path, opened: ExitStack | None = None) -> list[Path]:
    """Return the logs that cannot belong to the file at this path, although SQLite would use them. Raises OSError.

    These are all logs without a database file, and a write-ahead log next to a database in rollback mode. `opened`
    keeps the database file open, because closing any descriptor releases the POSIX locks of `exclusive_locks`.
    """
    # SQLite rebuilds the shared memory file, and an empty log holds no pages: neither can change the database.
    found = [log for log in logs_of(database) if not log.name.endswith("-shm") and size(log) > 0]
    if not found or not database.exists():
        return found
    if size(database) > 0 and not _is_in_rollback_mode(database, opened):
        return []
    return [log for log in found if log.name.endswith("-wal")]


def move_logs(database: Path, name: str) -> list[Path]:
    """Rename the logs to belong to `name` in the same folder and return their new paths. Raises OSError."""
    moved = []
    for log in logs_of(database):
        suffix = log.name.removeprefix(database.resolve().name)
        with suppress(FileNotFoundError):  # the last connection removes its logs
            moved.append(log.replace(log.with_name(name + suffix)))
    return moved


def copy_ownership(path: Path, model: Path, *, mode: bool = False) -> None:
    """Set the owner and group of `model` on the file, and with `mode` also its permissions.

    Only an administrator can change the owner. For other users, the file keeps its owner, without an error.
    """
    owner, present = model.stat(), path.stat()
    if (owner.st_uid, owner.st_gid) != (present.st_uid, present.st_gid):
        with suppress(PermissionError):
            os.chown(path, owner.st_uid, owner.st_gid)
    if mode:
        with suppress(PermissionError):
            shutil.copymode(model, path)


def size(path: Path) -> int:
    """Return the size of a file in bytes, or 0 when it was removed. The last connection removes its logs."""
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
