"""Connection of psycopg that probes a server which does not answer, such as a stopped one."""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.pq import PipelineStatus
from psycopg.waiting import Wait

from project_manager.clock import monotonic
from project_manager.store.postgres.timelines import Server

PROBE_AFTER_SECONDS = 3.0
"""Time without an answer after which a connection probes the server, on a second connection."""
LONGEST_SECONDS = 300.0
"""Time after which a connection no longer waits for a statement that the server still runs."""

_STATE = "SELECT state FROM pg_stat_activity WHERE pid = %s"

Result = TypeVar("Result")


class ServerUnresponsive(psycopg.OperationalError):
    """The server does not answer. The connection is closed."""


class AnswerTimeout(psycopg.OperationalError):
    """A statement took longer than its limit, although the server still runs it. The connection is closed."""


class ProbingConnection(psycopg.Connection[Any]):
    """Connection that bounds each wait for its server.

    After PROBE_AFTER_SECONDS without an answer, it asks the server on a second connection whether it still runs the
    statement. If the server does not answer there either, the connection is closed and counts as lost.
    `probe_parameters` are those of libpq for the second connection. Without them, the connection counts as lost at
    once. `limit` is the limit of a statement in seconds. `server` is the identity of the server, if it is known, and
    `stored` the one in the database.

    It never cancels a statement: a canceled COMMIT takes effect, but only on the primary.
    """

    probe_parameters: dict[str, Any] | None = None
    server: Server | None = None
    stored: Server | None = None
    limit = LONGEST_SECONDS

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Set `limit` for the statements in the body."""
        self.limit = seconds
        try:
            yield
        finally:
            self.limit = LONGEST_SECONDS

    @contextmanager
    def pipeline(self) -> Iterator[psycopg.Pipeline]:
        """Send statements together, and prepare all statements again after an error.

        Behind a failed statement the server prepares none. But psycopg takes those that it has tried to prepare there
        for prepared, so that each later use of them would fail. If the server ends the session among the statements,
        psycopg cannot leave the mode of the pipeline, and the connection is closed.
        """
        try:
            with super().pipeline() as pipeline:
                yield pipeline
        except Exception:
            self._prepared.clear()
            if not self.closed and self.pgconn.pipeline_status != PipelineStatus.OFF:
                self.close()
            raise

    def wait(self, gen: Generator[Wait, int, Result], interval: float = 0.1, timeout: float | None = None) -> Result:
        return super().wait(self._watched(gen), interval, timeout)

    def _watched(self, source: Generator[Wait, int, Result]) -> Generator[Wait, int, Result]:
        """Yield the same states as `source`, and check the limits after each interval without an answer."""
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
                elif now - heard >= PROBE_AFTER_SECONDS:
                    self._probe()
                    heard = monotonic()
                wanted = source.send(ready)
        except StopIteration as end:
            result: Result = end.value
            return result

    def _probe(self) -> None:
        """Close this connection and raise ServerUnresponsive if the server does not run its statement."""
        if not self._is_served():
            self.close()
            raise ServerUnresponsive("the server does not answer")

    def _is_served(self) -> bool:
        """Return whether the server still runs the statement of this connection.

        A refusal, such as of too many connections, proves nothing. If the server has ended, it resets this connection.
        """
        if self.probe_parameters is None:
            return False
        here = {"host": self.info.host, "hostaddr": self.info.hostaddr or None, "port": self.info.port}
        try:
            with closing(ProbingConnection.connect(autocommit=True, **(self.probe_parameters | here))) as other:
                row = other.execute(_STATE, (self.info.backend_pid,)).fetchone()
        except (ServerUnresponsive, psycopg.errors.ConnectionTimeout):
            return False
        except psycopg.OperationalError:
            return True
        return row is not None and not str(row[0]).startswith("idle")
