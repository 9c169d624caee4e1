"""Detection of removed, renamed, replaced or damaged files of an open database.

SQLite continues to use a removed file, and all writes are lost with the last connection.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from project_manager.domain.service_errors import DatabaseDamaged, DatabaseMoved
from project_manager.store.sqlite import driver, files

log = logging.getLogger(__name__)

_WATCHED = ("", "-wal", "-shm")

Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class FileChange:
    """A change of the files. `changes_reads` means that reads use another database than the one at the path."""

    message: str
    changes_reads: bool = False


class FileWatch:
    """Comparison of the files with those at the start. `change` is the result of the last `refresh`.

    `damage` is the text of the first SQLite error that reported damage. It stays until the process ends.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._paths = {suffix: str(files.log_path(path, suffix)) for suffix in _WATCHED}
        self._paths[""] = str(path)  # the target of a symbolic link may change
        self._opened: dict[str, Identity | None] = {"": _identity(self._paths[""])}
        self.change: FileChange | None = None
        self.damage: str | None = None

    def note(self, error: BaseException) -> None:
        """Store and log the first driver error that reports damage. Any thread may call it."""
        if self.damage is None and driver.is_damage(error):
            self.damage = str(error)
            log.error(
                "the database %s is damaged: %s. Writes are refused: stop the service and restore a backup",
                self.path,
                error,
                extra={"action": "database_damaged"},
            )

    def begin(self) -> bool:
        """Store the identity of all files after connecting. Return False when the database was replaced meanwhile."""
        first = self._opened[""]
        self._opened = {suffix: _identity(path) for suffix, path in self._paths.items()}
        return first is not None and self._opened[""] == first

    def refresh(self) -> FileChange | None:
        """Compare all files with three `stat` calls and return the difference.

        Without access to the folder, return the last result.
        """
        try:
            found = {suffix: _identity(path) for suffix, path in self._paths.items()}
        except OSError:
            return self.change
        self.change = self._difference(found)
        return self.change

    def check(self) -> None:
        """Raise DatabaseMoved for a removed or replaced file, or DatabaseDamaged. Make one `stat` call if unchanged."""
        try:
            if _identity(self._paths[""]) != self._opened[""]:
                self.refresh()
        except OSError:
            pass
        self.raise_if_changed(self.change)
        if self.damage is not None:
            raise DatabaseDamaged(f"the database file is damaged: {self.damage}")

    def check_before_opening(self) -> None:
        """Raise DatabaseMoved when a new connection would open other files than the existing connections."""
        self.raise_if_changed(self.refresh())

    def check_reads(self) -> None:
        """Raise DatabaseMoved when reads use another database, as of the last `refresh`. Makes no `stat` call."""
        if self.change is not None and self.change.changes_reads:
            self.raise_if_changed(self.change)

    @staticmethod
    def raise_if_changed(change: FileChange | None) -> None:
        """Raise DatabaseMoved when there is a change."""
        if change is not None:
            raise DatabaseMoved(f"the {change.message} while this server runs")

    def _difference(self, found: dict[str, Identity | None]) -> FileChange | None:
        if found == self._opened:
            return None
        if found[""] is None:
            return FileChange("database file was removed or renamed")
        if found[""] != self._opened[""]:
            return FileChange("database file was replaced", changes_reads=True)
        log = next(suffix for suffix in _WATCHED if found[suffix] != self._opened[suffix])
        return FileChange(f"database log {Path(self._paths[log]).name} was removed or replaced")


def _identity(path: str) -> Identity | None:
    """Return device and inode, or None when the file does not exist. Raises OSError."""
    try:
        status = os.stat(path)  # noqa: PTH116 runs before each batch, and Path.stat costs twice as much
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino
