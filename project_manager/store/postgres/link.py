"""Connection of the driver that notices a server which no longer answers, such as a stopped one."""

from collections.abc import Generator
from contextlib import closing
from typing import Any, TypeVar

import psycopg
from psycopg.waiting import Wait

from project_manager.clock import monotonic
from project_manager.store.postgres.lineage import Server

SILENCE_SECONDS = 3.0
"""Time without an answer after which a connection asks the server again, on another connection."""
LONGEST_SECONDS = 300.0
"""Time after which a connection no longer waits for a statement that the server still runs."""

_STATE = "SELECT state FROM pg_stat_activity WHERE pid = %s"

Result = TypeVar("Result")


class Silence(psycopg.OperationalError):
    """The server does not answer. The connection is closed."""


class AnswerTimeout(psycopg.OperationalError):
    """A statement took longer than its limit, although the server still runs it. The connection is closed."""


class Link(psycopg.Connection[Any]):
    """Connection that does not wait without end.

    After SILENCE_SECONDS without an answer, it asks the server on another connection whether it still runs the
    statement. If the server does not answer this either, the connection is closed and counts as lost. `origin` has the
    parameters of libpq, or None for a connection that does not ask. `limit` is the limit of a statement in seconds.
    `server` is the identity of the server, if it is known, and `stored` the one in the database.

    It never cancels a statement: a canceled COMMIT takes effect, but only on the primary.
    """

    origin: dict[str, Any] | None = None
    server: Server | None = None
    stored: Server | None = None
    limit = LONGEST_SECONDS

    def wait(self, gen: Generator[Wait, int, Result], interval: float = 0.1, timeout: float | None = None) -> Result:
        return super().wait(self._watched(gen), interval, timeout)

    def _watched(self, source: Generator[Wait, int, Result]) -> Generator[Wait, int, Result]:
        """Yield the same states as `source`, and look after each interval without an answer."""
        started = heard = monotonic()
        try:
            wanted = next(source)
            while True:
                ready = yield wanted
                now = monotonic()
                if ready:
                    heard = now
                elif now - started >= self.limit:
                    self.close()
                    raise AnswerTimeout(f"the server has not finished a statement within {self.limit:g} seconds")
                elif now - heard >= SILENCE_SECONDS:
                    self._ask()
                    heard = monotonic()
                wanted = source.send(ready)
        except StopIteration as end:
            result: Result = end.value
            return result

    def _ask(self) -> None:
        """Close this connection and raise Silence if the server does not run its statement."""
        if not self._is_served():
            self.close()
            raise Silence("the server does not answer")

    def _is_served(self) -> bool:
        """Return whether the server still runs the statement of this connection.

        A refusal, such as of too many connections, proves nothing. If the server has ended, it resets this connection.
        """
        if self.origin is None:
            return False
        here = {"host": self.info.host, "hostaddr": self.info.hostaddr or None, "port": self.info.port}
        try:
            with closing(Link.connect(autocommit=True, **(self.origin | here))) as other:
                row = other.execute(_STATE, (self.info.backend_pid,)).fetchone()
        except (Silence, psycopg.errors.ConnectionTimeout):
            return False
        except psycopg.OperationalError:
            return True
        return row is not None and not str(row[0]).startswith("idle")
