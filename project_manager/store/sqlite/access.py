"""Permissions that are missing for a file, with the remedy for each."""

import os
from pathlib import Path


def hindrance(database: Path) -> str | None:
    """Return why this user cannot make, read or write the database at this path, None when permissions allow it.

    The sentence names the path, its owner, the user of this process, and a remedy. Symbolic links are followed, as
    SQLite does.
    """
    real = Path(os.path.realpath(database))
    folder = next(folder for folder in real.parents if os.path.lexists(folder))
    if reason := of_folder(folder):
        return f"the database {database} cannot be used: {reason}"
    if not os.path.lexists(real):
        return None
    if not os.access(real, os.R_OK):
        return f"the database {database} cannot be read by {_user()}{_owned(real)}"
    if not os.access(real, os.W_OK):
        return f"the database {database} is read-only for {_user()}{_owned(real)}"
    return None


def of_folder(folder: Path) -> str | None:
    """Return why this user cannot make files in the folder, with a remedy, None when permissions allow it."""
    if _is_read_only_mount(folder):
        return f"{folder} is on a read-only file system: mount it writable for {_user()}, or choose another folder"
    if not os.access(folder, os.W_OK | os.X_OK) and folder.is_dir():
        return f"the folder {folder} is read-only for {_user()}{_owned(folder)}"
    return None


def _is_read_only_mount(folder: Path) -> bool:
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _user() -> str:
    return f"uid {os.geteuid()}"


def _owned(path: Path) -> str:
    """Return the owner and the mode of a path, and how to give it to this user."""
    found = path.stat()
    belongs = f"; it belongs to uid {found.st_uid} and has mode {found.st_mode & 0o7777:04o}"
    if found.st_uid == os.geteuid():
        return f"{belongs}: `chmod u+rwX {path}`"
    return f"{belongs}: `chown -R {os.geteuid()} {path}`, or run as uid {found.st_uid}"
