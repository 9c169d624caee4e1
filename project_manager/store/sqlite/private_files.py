"""Files and folders with access for their owner only, and temporary workspaces for atomic file writes."""

import errno
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

_LEFTOVER = re.compile(r"\.(?P<target>.+)\.(?:restoring|unfinished)-\w+")


def create(path: Path) -> None:
    """Create an empty file with mode 0600 without following a symbolic link. Raises FileExistsError, OSError."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_RDWR, FILE_MODE))


def make_folder(path: Path) -> None:
    """Create the missing folders with mode 0700 and the owner of their parent. Raises OSError."""
    for folder in reversed([folder for folder in (path, *path.parents) if not folder.is_dir()]):
        try:
            folder.mkdir(FOLDER_MODE, exist_ok=True)
        except FileExistsError as error:
            raise NotADirectoryError(errno.ENOTDIR, f"{folder} is not a folder; choose another path") from error
        files.copy_ownership(folder, folder.parent)


def folder_mode(mode: int) -> int:
    """Return the folder permissions that let each reader of a file with `mode` list and enter its folder."""
    return FOLDER_MODE | (mode & 0o044) | (mode & 0o044) >> 2


def is_open_to_others(path: Path) -> bool:
    """Return whether users other than the owner and the group have any permission. False for a missing file."""
    with suppress(OSError):
        return bool(stat.S_IMODE(path.stat().st_mode) & 0o007)
    return False


@contextmanager
def workspace(target: Path, word: str) -> Iterator[Path]:
    """Create a private folder next to `target`, and yield an empty file with the same name in it. Raises OSError.

    A lock on the folder shows `remove_leftovers` that the process is alive.
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
    """Delete workspaces of killed processes in a folder when `is_target` is true for the name of the target.

    Workspaces of live processes stay. Return the deleted paths. Raises OSError when the folder cannot be read.
    """
    found = [(entry, match) for entry in folder.iterdir() if (match := _LEFTOVER.fullmatch(entry.name))]
    return [entry for entry, match in found if is_target(match["target"]) and _remove_folder(entry)]


def _locked_folder(target: Path, word: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.{word}-", dir=target.parent))
        try:
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:  # another process removed it as a leftover
            continue
        with suppress(OSError):  # without such a lock on a network file system, leftovers stay
            fcntl.flock(held, fcntl.LOCK_EX)
        if os.fstat(held).st_nlink:  # otherwise another process removed it before the lock
            return folder, held
        os.close(held)


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
