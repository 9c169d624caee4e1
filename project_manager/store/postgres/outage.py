"""The time for which the sessions of this process wait for a lost server."""

from project_manager.clock import monotonic

PATIENCE_SECONDS = 10.0
"""Time for a failover. During it writes and reads wait for a server, and after it each one fails at once."""


class Outage:
    """The present loss of the server. All sessions of a process share it, so that only the first requests wait."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._is_stopping = False

    def is_over(self) -> bool:
        """Return whether to wait no longer. The first call since the server was reached begins the wait."""
        now, since = monotonic(), self._since
        if since is None:
            self._since = since = now
        return self._is_stopping or now >= since + PATIENCE_SECONDS

    def end(self) -> None:
        """Take note that the server was reached."""
        self._since = None

    def stop(self) -> None:
        """End all waits from now on, because this process is stopping."""
        self._is_stopping = True
