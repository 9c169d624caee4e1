"""Files and folders for their owner alone, and workspaces that are removed also when the process was killed."""

import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from project_manager.store.sqlite import files

FILE_MODE = 0o600
FOLDER_MODE = 0o700

_LEFTOVER = re.compile(r"\.(?P<target>.+)\.(?:restoring|unfinished)-(?P<maker>\w+?)(?:-wal|-shm|-journal)?")


def create(path: Path) -> None:
    """Make an empty file with mode 0600. A symbolic link is not followed.

    Raises FileExistsError when anything is at the path, and OSError.
    """
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_RDWR, FILE_MODE))


def make_folder(path: Path) -> None:
    """Make a folder with mode 0700, and the missing ones above it, for the owner of the folder that they are in.

    A folder that exists stays as it is. Raises OSError.
    """
    for folder in reversed([folder for folder in (path, *path.parents) if not folder.is_dir()]):
        folder.mkdir(FOLDER_MODE, exist_ok=True)
        files.give_like(folder, folder.parent)


def folder_mode(mode: int) -> int:
    """Return the permissions of a folder in which each reader of a file with `mode` can find it."""
    return FOLDER_MODE | (mode & 0o044) | (mode & 0o044) >> 2


def is_open_to_others(path: Path) -> bool:
    """Return whether users beside the owner and the group have any permission. A file that is gone is not open."""
    with suppress(OSError):
        return bool(stat.S_IMODE(path.stat().st_mode) & 0o007)
    return False


@contextmanager
def workspace(target: Path, word: str) -> Iterator[Path]:
    """Make a folder beside `target` for its new content, and yield the path of an empty file of that name in it.

    The folder and the file have unpredictable names and are open to their owner alone. A lock on the folder shows
    `remove_leftovers` that its process lives. Raises OSError.
    """
    remove_leftovers(target.parent, lambda name: name == target.name)
    folder, held = _locked_folder(target, word)
    try:
        create(folder / target.name)
        yield folder / target.name
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def remove_leftovers(folder: Path, is_target: Callable[[str], bool]) -> list[Path]:
    """Remove the workspaces that killed processes have left in a folder, for targets by whose name `is_target` holds.

    Workspaces of processes that live stay. Returns the removed paths. Raises OSError when the folder cannot be read.
    """
    found = [(entry, match) for entry in folder.iterdir() if (match := _LEFTOVER.fullmatch(entry.name))]
    return [entry for entry, match in found if is_target(match["target"]) and _remove(entry, match["maker"])]


def _locked_folder(target: Path, word: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.{word}-", dir=target.parent))
        try:
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:  # another process took it for a leftover
            continue
        with suppress(OSError):  # network file systems have no such lock: leftovers stay there
            fcntl.flock(held, fcntl.LOCK_EX)
        if os.fstat(held).st_nlink:  # else another process removed it before it was locked
            return folder, held
        os.close(held)


def _remove(entry: Path, maker: str) -> bool:
    if entry.is_dir() and not entry.is_symlink():
        return _remove_folder(entry)
    if not maker.isdecimal() or _lives(int(maker)):  # earlier releases named the file by its process
        return False
    with suppress(OSError):
        entry.unlink()
        return True
    return False


def _remove_folder(entry: Path) -> bool:
    try:
        held = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(entry)
    except OSError:
        return False
    finally:
        os.close(held)
    return True


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
