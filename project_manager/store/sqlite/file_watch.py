"""Detect that a file of an open database was removed, renamed, replaced or damaged.

A removed file stays open: SQLite goes on reading and writing it, and all writes are lost with the last connection.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from project_manager.domain.errors import DatabaseDamaged, DatabaseMoved
from project_manager.store.sqlite import driver, files

log = logging.getLogger(__name__)

_WATCHED = ("", "-wal", "-shm")

Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Moved:
    """The difference. `misleads`: reads answer from another database than the one at the path."""

    words: str
    misleads: bool = False


class FileWatch:
    """Device and inode of the files at the start. `moved` is the difference that the last look has found.

    `damage` is the first error by which SQLite has reported damage, in its words. It stays until the process ends.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._paths = {suffix: str(files.beside(path, suffix)) for suffix in _WATCHED}
        self._paths[""] = str(path)  # a symbolic link may come to lead to another file
        self._opened: dict[str, Identity | None] = {"": _identity(self._paths[""])}
        self.moved: Moved | None = None
        self.damage: str | None = None

    def note(self, error: BaseException) -> None:
        """Remember an error of the driver when it reports damage, and log the first one. Any thread may call."""
        if self.damage is None and driver.is_damage(error):
            self.damage = str(error)
            log.error(
                "the database %s is damaged: %s. Writes are refused: stop the service and restore a backup",
                self.path,
                error,
                extra={"action": "database_damaged"},
            )

    def begin(self) -> bool:
        """Remember the logs, now that all connections are open. Returns False when the database was replaced since."""
        first = self._opened[""]
        self._opened = {suffix: _identity(path) for suffix, path in self._paths.items()}
        return first is not None and self._opened[""] == first

    def look(self) -> Moved | None:
        """Compare all files, which takes three `stat` calls. Without access to the folder the last result stands."""
        try:
            found = {suffix: _identity(path) for suffix, path in self._paths.items()}
        except OSError:
            return self.moved
        self.moved = self._difference(found)
        return self.moved

    def check(self) -> None:
        """Raise DatabaseMoved when a file is not the one that is open, and DatabaseDamaged when it is damaged.

        Takes one `stat` call of the database file.
        """
        try:
            if _identity(self._paths[""]) != self._opened[""]:
                self.look()
        except OSError:
            pass
        self.refuse(self.moved)
        if self.damage is not None:
            raise DatabaseDamaged(f"the database file is damaged: {self.damage}")

    def check_before_opening(self) -> None:
        """Raise DatabaseMoved when a further connection would open other files than the present ones."""
        self.refuse(self.look())

    def check_reads(self) -> None:
        """Raise DatabaseMoved when reads answer from another database. It costs nothing: the last look counts."""
        if self.moved is not None and self.moved.misleads:
            self.refuse(self.moved)

    @staticmethod
    def refuse(moved: Moved | None) -> None:
        if moved is not None:
            raise DatabaseMoved(f"the {moved.words} while this server runs")

    def _difference(self, found: dict[str, Identity | None]) -> Moved | None:
        if found == self._opened:
            return None
        if found[""] is None:
            return Moved("database file was removed or renamed")
        if found[""] != self._opened[""]:
            return Moved("database file was replaced", misleads=True)
        log = next(suffix for suffix in _WATCHED if found[suffix] != self._opened[suffix])
        return Moved(f"database log {Path(self._paths[log]).name} was removed or replaced")


def _identity(path: str) -> Identity | None:
    """Return device and inode, or None when no file is there. Raises OSError."""
    try:
        status = os.stat(path)  # noqa: PTH116 before each batch: Path.stat costs as much again
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino
