"""Open connections of both listeners, and the limits on what they may hold.

A client needs no token to open a connection, to begin a request or to leave an answer unread. Each of these has a limit
in time for one connection, and a limit in number or bytes for all of them. At a limit for all, the connection that has
waited longest gives way. A client that works is served within milliseconds, so it is rarely the oldest.
"""

import asyncio
import logging
import resource
from collections import OrderedDict
from collections.abc import Iterator
from typing import Protocol

from project_manager.domain.limits import MEBIBYTE
from project_manager.observability.logging import Trouble

log = logging.getLogger(__name__)

KIBIBYTE = 1024

MAX_CONNECTIONS = 4096
"""Connections of an instance, both listeners and all WebSockets together. Settings that allow more streams raise it."""
FILES_KEPT = 128
"""Descriptors below the limit of the process that are left for the database, its readers and the log."""
REFUSED_KEPT = 32
"""Connections beyond the limit that are kept until the client has read why it is refused."""

HEAD_BYTES = 64 * KIBIBYTE
HEADER_LINES = 128
HEAD_SECONDS = 10
PROGRESS_BYTES = 64 * KIBIBYTE
BODY_SECONDS = 30
"""A body, and an unread answer, has to move by PROGRESS_BYTES or to its end within this time."""
ANSWER_SECONDS = 30
LINGER_SECONDS = 10
"""For the client to take the last UNSENT_BYTES of the last answer of a connection."""
KEEP_ALIVE_SECONDS = 75

REQUEST_BYTES = 32 * MEBIBYTE
"""Unfinished heads, bodies and pipelined requests of all connections."""
ANSWER_BYTES = 32 * MEBIBYTE
"""Answers of all connections that their clients do not take."""
UNSENT_BYTES = 16 * KIBIBYTE
"""Unsent bytes of one connection from which on they count as an answer that is not taken."""


class Counts(Protocol):
    """The metrics of connections."""

    def connection_opened(self, listener: str) -> None: ...
    def connection_closed(self, listener: str) -> None: ...
    def connection_refused(self, reason: str) -> None: ...


class Connection(Protocol):
    """A connection as its limits see it."""

    listener: str

    def check(self, now: int) -> None:
        """Enforce the limits in time of this connection. `now` counts seconds."""

    def make_room(self) -> None:
        """Close at once; another connection needs the place."""

    def drop_request(self) -> None:
        """Refuse the unfinished request; its bytes are needed for others."""

    def drop_answer(self) -> None:
        """Close without the rest of the answer; its bytes are needed for others."""


class Budget:
    """Bytes that connections hold, and those connections that can give theirs up, the oldest first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.total = 0
        self._movable: OrderedDict[Connection, int] = OrderedDict()
        self._fixed: dict[Connection, int] = {}

    def hold(self, connection: Connection, size: int) -> None:
        """Set the bytes of a connection that can give them up."""
        self.total += size - self._movable.get(connection, 0) - self._fixed.pop(connection, 0)
        self._movable[connection] = size

    def fix(self, connection: Connection) -> None:
        """Keep the bytes of a connection until it drops them: its request is complete."""
        size = self._movable.pop(connection, 0)
        if size:
            self._fixed[connection] = size

    def drop(self, connection: Connection) -> None:
        """Forget the bytes of a connection."""
        self.total -= self._movable.pop(connection, 0) + self._fixed.pop(connection, 0)

    def oldest(self) -> Connection | None:
        """Return the connection that has held bytes longest and can give them up."""
        return next(iter(self._movable), None)

    def to_give_way(self) -> Connection | None:
        """Return the connection that has to give up its bytes, or None while all fit."""
        return self.oldest() if self.total > self.limit else None


Waiting = OrderedDict[Connection, None]


class Connections:
    """The open connections of a server, by what they wait for, the oldest first.

    `now` counts the seconds in which a connection was open: to read it costs a request less than to read a clock.
    """

    def __init__(self, limit: int, counts: Counts) -> None:
        self.limit = limit
        self.now = 0
        self.heads: Waiting = OrderedDict()
        self.idle: Waiting = OrderedDict()
        self.draining: Waiting = OrderedDict()
        self.requests = Budget(REQUEST_BYTES)
        self.answers = Budget(ANSWER_BYTES)
        self._turned_away: Waiting = OrderedDict()
        self._open: dict[Connection, None] = {}
        self._counts = counts
        self._timer: asyncio.TimerHandle | None = None
        self._crowd = Trouble(log, "connection_limit", f"the limit of {limit} connections is reached")
        self._accepting = Trouble(log, "accept_failed", "connections cannot be accepted")

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._open))

    def enter(self, connection: Connection) -> bool:
        """Register a new connection. Return whether there is a place for it."""
        self._open[connection] = None
        self._counts.connection_opened(connection.listener)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(1, self._every_second)
        if len(self._open) - len(self._turned_away) <= self.limit:
            return True
        self.count("cap")
        self._crowd.goes_on("connections without a request are closed, the oldest first")
        if self.make_room():
            return True
        self._turned_away[connection] = None
        if len(self._turned_away) > REFUSED_KEPT:
            self._close(next(iter(self._turned_away)))
        return False

    def replace(self, before: Connection, after: Connection) -> None:
        """Let another protocol serve the connection from now on."""
        self._forget(before)
        self._open[after] = None

    def leave(self, connection: Connection) -> None:
        """Forget a connection that is closed. It may have left before."""
        if connection in self._open:
            self._forget(connection)
            self._counts.connection_closed(connection.listener)

    def count(self, reason: str) -> None:
        """Count a connection that is refused or cut for `reason`."""
        self._counts.connection_refused(reason)

    def accept_failed(self, error: OSError) -> None:
        """Warn that the system gave no connection, and give one back."""
        self.count("accept_failed")
        self._accepting.goes_on(error.strerror or error)
        self.make_room()

    def accept_succeeded(self) -> None:
        """End the warning of `accept_failed`."""
        self._accepting.is_over()

    def make_room(self) -> bool:
        """Close the connection that is needed least. Return whether there was one."""
        for waiting in (self.draining, self.heads, self.idle):
            if waiting:
                self._close(next(iter(waiting)))
                return True
        connection = self.requests.oldest() or self.answers.oldest()
        if connection is None:
            return False
        self._close(connection)
        return True

    def check(self) -> None:
        """Let a second pass: enforce the limits in time of every connection."""
        self.now += 1
        for connection in self:
            connection.check(self.now)
        if len(self._open) < self.limit:
            self._crowd.is_over()

    def _every_second(self) -> None:
        self._timer = None
        self.check()
        if self._open:
            self._timer = asyncio.get_running_loop().call_later(1, self._every_second)

    def _close(self, connection: Connection) -> None:
        connection.make_room()
        self.leave(connection)

    def _forget(self, connection: Connection) -> None:
        for waiting in (self._open, self.draining, self.heads, self.idle, self._turned_away):
            waiting.pop(connection, None)
        self.requests.drop(connection)
        self.answers.drop(connection)


def connection_limit(streams: int) -> int:
    """Return how many connections this process can hold, having raised its limit of open files as far as needed.

    `streams` is how many of them the settings allow to stay open: WebSockets and streams of MCP.
    """
    wanted = max(MAX_CONNECTIONS, streams + MAX_CONNECTIONS // 4)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = wanted + FILES_KEPT
    if soft != resource.RLIM_INFINITY and soft < files:
        soft = files if hard == resource.RLIM_INFINITY else min(files, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - FILES_KEPT))
