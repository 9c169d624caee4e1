"""A PostgreSQL server of Debian's package for the other queues, with its default durability, and its CPU time."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import postgres_server
from tests.bench.servers import CPUCLOCK_SCHED, NotServing


class Postgres:
    """A running server. `location` is the connection string of a new database."""

    def __init__(self, location: str, pid: int, version: str) -> None:
        self.location = location
        self.version = version
        self._pid = pid

    def cpu_seconds(self) -> float:
        """Return the CPU time of the server, of its running backends and of those that have ended."""
        ticks = sum(map(int, Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()[13:15]))
        backends = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split()
        return ticks / os.sysconf("SC_CLK_TCK") + sum(map(_cpu_seconds, [self._pid, *map(int, backends)]))


def _cpu_seconds(pid: int) -> float:
    try:
        return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)
    except OSError:  # it ended
        return 0.0


@contextmanager
def running() -> Iterator[Postgres]:
    """Start a server on a new folder, and stop it. Raises NotServing when it is not installed."""
    try:
        with postgres_server.running(settings={}, locale=(), parent="/var/tmp") as server:
            yield Postgres(server.url(server.create_database()), server.pid, server.version)
    except postgres_server.NotInstalled:
        raise NotServing("PostgreSQL is not installed: add --install-postgresql") from None
