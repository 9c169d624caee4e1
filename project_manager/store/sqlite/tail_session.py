"""The connection of the tail to a SQLite file."""

from project_manager.store.sqlite import driver
from project_manager.store.sqlite.file_watch import FileWatch


class SqliteTailSession:
    """A read-only connection that sees whether another connection has committed."""

    def __init__(self, path: str, watch: FileWatch) -> None:
        self.connection = driver.connect(path, read_only=True)
        self._watch = watch

    def version(self) -> int:
        return driver.data_version(self.connection)

    def obstacle(self) -> str | None:
        change = self._watch.refresh()
        return None if change is None else f"the {change.message} while this server runs ({self._watch.path})"

    def note(self, error: BaseException) -> None:
        self._watch.note(error)

    def close(self) -> None:
        self.connection.close()
