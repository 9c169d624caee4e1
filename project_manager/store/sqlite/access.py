"""Detection of missing file permissions, with a remedy for each."""

import os
from pathlib import Path


def permission_problem(database: Path) -> str | None:
    """Return why this user cannot create, read or write the database, or None when permissions allow it.

    The sentence contains a remedy. The function follows symbolic links, as SQLite does.
    """
    real = Path(os.path.realpath(database))
    folder = next(folder for folder in real.parents if os.path.lexists(folder))
    if reason := folder_problem(folder):
        return f"the database {database} cannot be used: {reason}"
    if not os.path.lexists(real):
        return None
    if not os.access(real, os.R_OK):
        return f"the database {database} cannot be read by {_user()}{_owned(real)}"
    if not os.access(real, os.W_OK):
        return f"the database {database} is read-only for {_user()}{_owned(real)}"
    return None


def folder_problem(folder: Path) -> str | None:
    """Return why this user cannot create files in the folder, with a remedy, or None when permissions allow it."""
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
    """Return a phrase with the owner and mode of a path, and the command that gives this user access."""
    found = path.stat()
    belongs = f"; it belongs to uid {found.st_uid} and has mode {found.st_mode & 0o7777:04o}"
    if found.st_uid == os.geteuid():
        return f"{belongs}: `chmod u+rwX {path}`"
    return f"{belongs}: `chown -R {os.geteuid()} {path}`, or run as uid {found.st_uid}"
