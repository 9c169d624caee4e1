"""The time for which the sessions of this process wait for a lost server."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg

from project_manager.clock import monotonic

FAILOVER_SECONDS = 10.0
"""Time for a failover. Writes and reads wait this long for a server. After it, each one fails at once."""
RETRY_SECONDS = 0.1
SLOW_SECONDS = 1.0
"""Duration from which on an attempt to connect is slow: after it, other sessions do not try too for a while."""
PAUSE_SECONDS = 3.0
"""Time after a slow attempt during which no other session tries, once FAILOVER_SECONDS have passed."""

Connected = TypeVar("Connected")


class Outage:
    """The present loss of the server. All sessions of a process share it, so that only the first requests wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: float | None = None
        self._error: psycopg.Error | None = None
        self._slow_attempt: float | None = None
        self._is_stopping = False

    def begin(self, asked_at: float) -> None:
        """Record that a statement, which was sent at this instant of `monotonic`, has lost its connection."""
        with self._lock:
            if self._since is None:
                self._since = asked_at

    def connect(self, attempt: Callable[[], Connected]) -> Connected:
        """Return the result of `attempt`, which connects. Repeat it for FAILOVER_SECONDS of the outage.

        Raises the driver's error. Other sessions that reach the server meanwhile do not lengthen this wait.
        """
        until = monotonic() + FAILOVER_SECONDS
        while True:
            self._check()
            started = monotonic()
            try:
                return attempt()
            except psycopg.Error as error:
                if self._is_over_after(started, error) or monotonic() >= until:
                    raise
                time.sleep(RETRY_SECONDS)

    def seconds(self) -> float:
        """Return how long the server has been lost, or 0."""
        since = self._since
        return 0.0 if since is None else monotonic() - since

    def end(self) -> None:
        """Record that the server was reached."""
        with self._lock:
            self._since = self._error = self._slow_attempt = None

    def stop(self) -> None:
        """End all waits from now on, because this process is stopping."""
        self._is_stopping = True

    def _check(self) -> None:
        """Raise the last error if FAILOVER_SECONDS have passed, and the last attempt was slow or this process stops."""
        with self._lock:
            now, slow = monotonic(), self._slow_attempt
            if self._error is None or not self._is_over(now):
                return
            if self._is_stopping or (slow is not None and now < slow + PAUSE_SECONDS):
                raise self._error.with_traceback(None)
            # While this attempt runs, the others fail at once.
            self._slow_attempt = None if slow is None else now

    def _is_over_after(self, started: float, error: psycopg.Error) -> bool:
        """Record a failed attempt, and return whether to wait no longer."""
        with self._lock:
            now = monotonic()
            self._error = error
            if self._since is None:
                self._since = started
            self._slow_attempt = now if now - started >= SLOW_SECONDS else None
            return self._is_over(now)

    def _is_over(self, now: float) -> bool:
        return self._is_stopping or (self._since is not None and now >= self._since + FAILOVER_SECONDS)
