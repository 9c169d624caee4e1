"""The connection of the tail to a SQLite file."""

from collections.abc import Callable

from project_manager.store.sqlite import driver
from project_manager.store.sqlite.file_watch import FileWatch
from project_manager.store.tail import POLL_INTERVAL


class SqliteTailSession:
    """A read-only connection that sees whether another connection has committed."""

    poll_interval = POLL_INTERVAL

    def __init__(self, path: str, watch: FileWatch) -> None:
        self.connection = driver.connect(path, read_only=True)
        self._watch = watch

    def listen(self, on_commit: Callable[[], None]) -> None:
        """Do nothing: SQLite does not notify."""

    def version(self) -> int:
        return driver.data_version(self.connection)

    def epoch(self) -> None:
        """Return None: a restore needs all processes to be stopped."""

    def may_have_new_epoch(self) -> bool:
        return False

    def why_unreadable(self) -> str | None:
        change = self._watch.refresh()
        return None if change is None else f"the {change.message} while this server runs ({self._watch.path})"

    def note(self, error: BaseException) -> None:
        self._watch.note(error)

    def stop(self) -> None:
        """Do nothing: SQLite does not notify."""

    def close(self) -> None:
        self.connection.close()
