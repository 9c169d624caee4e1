"""Figures of a PostgreSQL server for the metrics: the lock of the writers, open snapshots, and standbys."""

from collections.abc import Callable
from dataclasses import dataclass

from project_manager.clock import monotonic
from project_manager.store.transaction import Tx

# Other databases of the server do not delay the removal of replaced rows of this one. The server shows the sessions of
# other users, and its standbys, only to a member of pg_read_all_stats, such as one of pg_monitor.
_MEASURE = """
WITH role AS MATERIALIZED (SELECT pg_has_role('pg_read_all_stats', 'USAGE') AS sees_all),
standbys AS (
    SELECT count(*) FILTER (WHERE state = 'streaming') AS streaming,
        count(*) FILTER (WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum')) AS synchronous,
        max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)) AS lag
    FROM pg_stat_replication WHERE state IN ('streaming', 'catchup')
),
snapshots AS (
    SELECT max(clock_timestamp() - xact_start) AS age FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND backend_xmin IS NOT NULL
)
SELECT pg_database_size(current_database()),
    CASE WHEN sees_all THEN CAST(extract(epoch FROM age) AS DOUBLE PRECISION) END,
    CASE WHEN sees_all THEN streaming END,
    CASE WHEN sees_all THEN synchronous END,
    CASE WHEN sees_all THEN CAST(lag AS BIGINT) END
FROM role, standbys, snapshots
"""


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """Figures of the server, None if unknown or hidden from the user of this process.

    `oldest_snapshot_seconds` is the age of the oldest transaction that keeps replaced rows. `standbys` and
    `synchronous_standbys` are numbers of connected standbys. `lag_bytes` is how far the slowest of them is behind.
    """

    database_bytes: int | None = None
    oldest_snapshot_seconds: float | None = None
    standbys: int | None = None
    synchronous_standbys: int | None = None
    lag_bytes: int | None = None


def measure(tx: Tx) -> ServerFigures:
    """Return the figures of the server that `tx` reads from. Raises the driver's error."""
    return ServerFigures(*tx.connection.execute(_MEASURE).fetchone())


class WriterLockFigures:
    """Measurement of the lock of the writers in this process, and the number of reconnections of its writer.

    The lock itself is a row of the database. `report` gets the seconds of the wait for it and of holding it.
    """

    def __init__(self) -> None:
        self.report: Callable[[float, float], None] | None = None
        self.reconnections = 0
        self._waited = 0.0
        self._since: float | None = None

    def taken(self, asked: float) -> None:
        """Record that this process holds the lock. `asked` is the instant of the request for it."""
        self._since = monotonic()
        self._waited = self._since - asked

    def released(self) -> None:
        """Report the times of a batch that has ended, unless it has lost its connection."""
        if self._since is not None and self.report is not None:
            self.report(self._waited, monotonic() - self._since)
        self._since = None

    def lost(self) -> None:
        """Forget the times of a batch that has lost its connection."""
        self._since = None
