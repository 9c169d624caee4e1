"""The check of a new connection of the writer for a promotion that has lost commits."""

import logging

from project_manager.clock import Clock
from project_manager.domain.actors import SYSTEM
from project_manager.store import meta, new_epoch
from project_manager.store.postgres import driver
from project_manager.store.postgres.timelines import Server, Timelines
from project_manager.store.transaction import Tx

log = logging.getLogger(__name__)

_STORED = "SELECT system, timeline, commits FROM counter WHERE id = 1"
_STORE = "UPDATE counter SET system = $1, timeline = $2 WHERE id = 1"
# The mark of a promotion is in the table of the marks of batches, because it is as small. `write_connection.py` keeps
# it when it deletes old marks.
_PROMOTIONS = "SELECT writer, batch FROM batch_marks WHERE writer = ANY($1)"
_DELETE_PROMOTIONS = "DELETE FROM batch_marks WHERE writer LIKE 'timeline %'"
_STORE_PROMOTION = (
    "INSERT INTO batch_marks (writer, batch, at) VALUES ($1, $2, $3)"
    " ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch, at = excluded.at"
)
_COUNT = (
    "UPDATE counter SET commits = commits + 1, seq = greatest(seq, (SELECT max(seq) FROM events))"
    " WHERE id = 1 RETURNING pg_notify('project_manager_commits', '')"
)
# Calls that wait in other instances would otherwise share their ids with new ones. Ids of waiters are not public. The
# user needs USAGE on the sequence, which an INSERT does not need.
_SKIP_WAITERS = "SELECT max(nextval(pg_get_serial_sequence('waiters', 'id'))) FROM generate_series(1, 10000)"
_ALL_COMMITS = 2**62
"""The number of commits at a promotion after which a new epoch has begun. No process misses any of its commits."""


class Promotion:
    """The check of the server of a connection, in a transaction that holds the lock of the writers.

    The first instance to notice a promotion stores the new timeline. It begins a new epoch, unless it knows that no
    acknowledged commit is lost. Another instance that knows more commits begins the epoch later.
    """

    def __init__(self, connection: driver.Connection, timelines: Timelines, clock: Clock, now: int) -> None:
        """`now` is the instant of the server in milliseconds since the epoch."""
        self._connection = connection
        self._timelines = timelines
        self._clock = clock
        self._now = now
        self._commits = 0

    def record(self) -> bool:
        """Store the server of the connection if it is new, and return whether anything was written.

        Raises the driver's error.
        """
        system, timeline, self._commits = self._connection.row(_STORED)
        server = self._connection.server
        return server is not None and self._record(server, Server(system, timeline))

    def accept(self) -> None:
        """Use the server from now on, after the COMMIT."""
        self._timelines.accept(self._connection.server, self._commits)

    def _record(self, server: Server, stored: Server) -> bool:
        if server == stored:
            used = self._timelines.known.server
            if used is None or used == server:
                return False
            if not self._timelines.has_more_than(self._fewest_commits(used, server)):
                return False
            self._begin_epoch(server)
        elif not stored.system:  # the first server of this database
            self._connection.execute(_STORE, server)
        elif server.system == stored.system and self._timelines.is_lossless(stored, self._commits):
            self._connection.execute(_STORE, server)
            self._note_promotion(server, self._commits)
            log.warning("%s without a loss", _described(server), extra={"action": "database_promoted"})
        else:
            self._connection.execute(_STORE, server)
            self._begin_epoch(server)
        return True

    def _fewest_commits(self, used: Server, server: Server) -> int | None:
        """Return the fewest commits at a promotion since this process has used a server, or None if unknown.

        The last promotion can have had more than the one that has lost commits. A timeline without a mark had no batch.
        """
        timelines = range(used.timeline + 1, server.timeline + 1)
        marks = [_mark_of(server._replace(timeline=timeline)) for timeline in timelines]
        commits = dict(self._connection.execute(_PROMOTIONS, (marks,)))
        if _ALL_COMMITS in commits.values():  # that epoch is for all commits that this process may miss
            return _ALL_COMMITS
        return min(commits.values()) if _mark_of(server) in commits else None

    def _note_promotion(self, server: Server, commits: int) -> None:
        self._connection.execute(_STORE_PROMOTION, (_mark_of(server), commits, self._now))

    def _begin_epoch(self, server: Server) -> None:
        self._connection.execute(_DELETE_PROMOTIONS)
        self._note_promotion(server, _ALL_COMMITS)
        tx = Tx(self._connection, self._clock.now(), SYSTEM, "", 0)
        tx.now = max(tx.now, meta.clock_high(tx))
        begun = new_epoch.begin(tx, tx.now, None)
        self._connection.execute(_SKIP_WAITERS)
        self._connection.execute(_COUNT)
        self._commits += 1
        log.warning(
            "%s and may have lost its newest writes: a new epoch begins, and %d leases have ended",
            _described(server),
            begun.released,
            extra={"action": "epoch_begun", "epoch": begun.id, "fence_floor": begun.fence_floor},
        )


def _described(server: Server) -> str:
    return f"the database was promoted to timeline {server.timeline} of the server {server.system}"


def _mark_of(server: Server) -> str:
    return f"timeline {server.system}/{server.timeline}"
