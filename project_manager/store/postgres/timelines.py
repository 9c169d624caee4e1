"""The timelines of PostgreSQL that this process has used, to notice a failover and to refuse an outdated server."""

import threading
from typing import NamedTuple

import psycopg


class Server(NamedTuple):
    """The identity of a server: the system identifier of its cluster, and the timeline, which each promotion raises."""

    system: str
    timeline: int


class Known(NamedTuple):
    """The server that the writer has last used, or None, and the number of its commits that this process knows."""

    server: Server | None
    commits: int


class WrongServer(psycopg.OperationalError):
    """The server is an old primary, belongs to another cluster, or has lost commits. This process does not use it."""


class Timelines:
    """The timelines that this process has used, and the number of commits that it knows.

    All sessions of a process share one object. `connections` is the number of times that the writer has connected
    again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: Server | None = None
        self._written: Server | None = None
        self._commits = 0
        self._is_synchronous = False
        self.connections = 0

    @property
    def known(self) -> Known:
        """The present knowledge of this process."""
        with self._lock:
            return Known(self._written, self._commits)

    @property
    def is_empty(self) -> bool:
        """Return whether this process has used no server yet."""
        return self._newest is None

    def check(self, server: Server | None, stored: Server, commits: int, known: Known) -> None:
        """Record the server of a new connection. Raises WrongServer if this process must not use it.

        `server` is None if the server hides its identity. `stored` is the server of the last batch in the database.
        `commits` is the number of commits in the database, and `known` what this process knew before it read that
        number. The writer may have moved to a promoted server with fewer commits since.
        """
        with self._lock:
            if server is not None:
                self._check_timeline(server, stored)
            if commits < known.commits and server in (None, known.server):
                raise WrongServer(
                    f"the database has {commits} commits, but this process knows of {known.commits}: start the right "
                    "server, or after a restore restart all instances"
                )
            self._newest = server or self._newest

    def _check_timeline(self, server: Server, stored: Server) -> None:
        used = self._newest
        if used is not None and used.system != server.system:
            raise WrongServer(
                f"the server has the system identifier {server.system}, but this process has used {used.system}: start "
                "the right server, or after a move of the database restart all instances"
            )
        newest = max(each.timeline for each in (server, stored, used) if each and each.system == server.system)
        if server.timeline < newest:
            raise WrongServer(
                f"the server is an old primary on timeline {server.timeline}, but the database was promoted to "
                f"timeline {newest}: make it a standby of the new primary"
            )

    def is_outdated(self, server: Server | None) -> bool:
        """Return whether a session must leave this server, because a newer one was promoted."""
        newest = self._newest
        return newest is not None and server is not None and server.timeline < newest.timeline

    def is_lossless(self, stored: Server, commits: int) -> bool:
        """Return whether it is certain that a promotion of a server with this number of commits has lost none.

        That needs a process that has used the timeline before the promotion, with commits that waited for a standby.
        """
        with self._lock:
            return self._written == stored and self._is_synchronous and commits >= self._commits

    def is_written(self, server: Server | None) -> bool:
        """Return whether the writer has last used this server."""
        return server is not None and self._written == server

    def has_more_than(self, commits: int | None) -> bool:
        """Return whether this process may know more commits than a promoted server had. None is unknown."""
        return commits is None or self._commits > commits

    def accept(self, server: Server | None, commits: int) -> None:
        """Record that the writer uses this server, with its present number of commits."""
        with self._lock:
            self._written = server or self._written
            self._commits = commits

    def record_batch(self, commits: int, *, is_synchronous: bool) -> None:
        """Record a batch. `is_synchronous` is whether its commit waits for a standby."""
        with self._lock:
            self._commits = max(self._commits, commits)
            self._is_synchronous = is_synchronous
