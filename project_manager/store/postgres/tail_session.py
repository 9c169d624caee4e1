"""The connections of the tail to a PostgreSQL server: one that reads, and one that listens for commits."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from project_manager.observability.logging import RateLimitedWarning
from project_manager.store.postgres import driver
from project_manager.store.postgres.timelines import Timelines

log = logging.getLogger(__name__)

LISTEN_SECONDS = 1.0
RETRY_SECONDS = 0.2
JOIN_SECONDS = 0.5

_VERSION = "SELECT commits, (SELECT epoch FROM meta) FROM counter WHERE id = 1"


class PostgresTailSession:
    """A connection that sees whether another connection has committed, and a thread that notices it at once.

    A notification can be lost with its connection. So the tail also looks without one, every `poll_interval` seconds.
    """

    poll_interval = 1.0

    def __init__(self, url: str, writer: str, timelines: Timelines) -> None:
        self.connection = driver.Connection(url, timelines=timelines)
        self._timelines = timelines
        self._seen_connections = timelines.connections
        self._epoch: str | None = None
        self._url = url
        self._writer = writer
        self._channel = f"end_{writer}"
        self._ended = threading.Event()
        self._listener: threading.Thread | None = None

    def listen(self, on_commit: Callable[[], None]) -> None:
        self._listener = threading.Thread(target=self._listen, args=(on_commit,), name="listener", daemon=True)
        self._listener.start()

    def version(self) -> int:
        # Read before the database: a later connection of the writer is another reason to look.
        connections = self._timelines.connections
        if self._timelines.is_outdated(self.connection.server):
            self.connection.reconnect()
        try:
            version = self._read_version()
        except driver.DIALECT.driver_error:
            if not self.connection.is_lost:
                raise
            self.connection.reconnect()
            version = self._read_version()
        self._seen_connections = connections
        return version

    def epoch(self) -> str | None:
        return self._epoch

    def may_have_new_epoch(self) -> bool:
        return self._seen_connections != self._timelines.connections

    def why_unreadable(self) -> str | None:
        return None

    def note(self, error: BaseException) -> None:
        """Do nothing: only the files of SQLite report damage to this process."""

    def stop(self) -> None:
        self._ended.set()

    def close(self) -> None:
        self.stop()
        if self._listener is not None:
            self._wake_listener()
            # While the server is away, the thread tries to connect for a while longer, and ends then.
            self._listener.join(JOIN_SECONDS)
        self.connection.close()

    def _read_version(self) -> int:
        version, self._epoch = self.connection.row(_VERSION)
        return int(version)

    def _wake_listener(self) -> None:
        """End the wait of the listener, unless the connection is lost. It then ends after LISTEN_SECONDS."""
        with suppress(driver.DIALECT.driver_error), self.connection.last_write(JOIN_SECONDS):
            self.connection.run_script(f"NOTIFY {self._channel}")

    def _listen(self, on_commit: Callable[[], None]) -> None:
        trouble = RateLimitedWarning(log, "listen_failed", "cannot listen for commits")
        while not self._ended.is_set():
            try:
                self._listen_on(driver.Connection(self._url, timelines=self._timelines), on_commit, trouble)
            except driver.DIALECT.driver_error as error:
                trouble.failed(error)
                self._ended.wait(RETRY_SECONDS)

    def _listen_on(
        self, connection: driver.Connection, on_commit: Callable[[], None], trouble: RateLimitedWarning
    ) -> None:
        """Call `on_commit` after each commit of another instance, until the connection is lost or the session ends."""
        try:
            connection.run_script(f"LISTEN project_manager_commits; LISTEN {self._channel}")
            trouble.recovered()
            on_commit()  # another instance may have committed before
            while not self._ended.is_set():
                if self._timelines.is_outdated(connection.server):
                    return
                for writer in connection.notifications(LISTEN_SECONDS):
                    if self._ended.is_set():
                        return
                    if writer != self._writer:
                        on_commit()
        finally:
            connection.close()
