"""Open connections of both listeners, and the limits on their number, memory and time.

A client needs no token to open a connection, to begin a request or to leave a response unread. At a limit for all
connections, the server closes one that waits for its client, oldest first. A working client causes no such wait.
"""

import asyncio
import logging
import resource
from collections import OrderedDict
from collections.abc import Iterator
from typing import Protocol

from project_manager.domain.limits import MEBIBYTE
from project_manager.observability.logging import RateLimitedWarning
from project_manager.observability.metrics import Metrics

log = logging.getLogger(__name__)

KIBIBYTE = 1024

MAX_CONNECTIONS = 4096
"""Limit on connections of an instance, WebSockets included. Settings that allow more streams raise it."""
FILES_KEPT = 128
"""File descriptors reserved for the database, its readers and the log."""
REFUSED_KEPT = 32
"""Number of connections beyond the limit that stay open until the client has read the refusal."""

HEAD_BYTES = 64 * KIBIBYTE
HEADER_LINES = 128
HEAD_SECONDS = 10
PROGRESS_BYTES = 64 * KIBIBYTE
BODY_SECONDS = 30
"""Time within which a body must progress by PROGRESS_BYTES or end."""
RESPONSE_SECONDS = 30
"""Time within which the client must read PROGRESS_BYTES of an unread response, or the rest of it."""
LINGER_SECONDS = 10
"""Time for the client to read the last UNSENT_BYTES of the last response of a connection."""
KEEP_ALIVE_SECONDS = 75

REQUEST_BYTES = 32 * MEBIBYTE
"""Limit on unfinished heads, bodies and pipelined requests of all connections."""
RESPONSE_BYTES = 32 * MEBIBYTE
"""Limit on unread responses of all connections."""
UNSENT_BYTES = 16 * KIBIBYTE
"""Unsent bytes of one connection above which they count as an unread response."""


class Connection(Protocol):
    """Interface of a connection for enforcing limits."""

    listener: str

    def check(self, now: int) -> None:
        """Enforce the time limits of this connection. `now` counts seconds."""

    def close_for_new(self) -> None:
        """Close at once, because another connection needs the place."""

    def drop_request(self) -> None:
        """Refuse the unfinished request, because other connections need its memory."""

    def drop_response(self) -> None:
        """Close without the rest of the response, because other connections need its memory."""


class Budget:
    """Memory limit of all connections, with the connections that can free bytes, the oldest first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.total = 0
        self._evictable: OrderedDict[Connection, int] = OrderedDict()
        self._pinned: dict[Connection, int] = {}

    def set_bytes(self, connection: Connection, size: int) -> None:
        """Set the bytes of a connection that can free them."""
        self.total += size - self._evictable.get(connection, 0) - self._pinned.pop(connection, 0)
        self._evictable[connection] = size

    def pin(self, connection: Connection) -> None:
        """Keep the bytes of a connection until `release`, because its request is complete."""
        size = self._evictable.pop(connection, 0)
        if size:
            self._pinned[connection] = size

    def release(self, connection: Connection) -> None:
        """Remove the bytes of a connection from the total."""
        self.total -= self._evictable.pop(connection, 0) + self._pinned.pop(connection, 0)

    def oldest(self) -> Connection | None:
        """Return the connection that has held bytes longest and can free them, or None."""
        return next(iter(self._evictable), None)

    def victim(self) -> Connection | None:
        """Return the connection that has to free its bytes, or None within the limit."""
        return self.oldest() if self.total > self.limit else None


ConnectionQueue = OrderedDict[Connection, None]


class Connections:
    """Open connections in one queue per state, the oldest first. `now` counts seconds, cheaper than a clock call."""

    def __init__(self, limit: int, counts: Metrics) -> None:
        self.limit = limit
        self.now = 0
        self.heads: ConnectionQueue = OrderedDict()
        self.idle: ConnectionQueue = OrderedDict()
        self.draining: ConnectionQueue = OrderedDict()
        self.requests = Budget(REQUEST_BYTES)
        self.responses = Budget(RESPONSE_BYTES)
        self._rejected: ConnectionQueue = OrderedDict()
        self._open: dict[Connection, None] = {}
        self._counts = counts
        self._timer: asyncio.TimerHandle | None = None
        self._limit_warning = RateLimitedWarning(log, "connection_limit", f"connection limit of {limit} reached")
        self._accept_warning = RateLimitedWarning(log, "accept_failed", "cannot accept connections")

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._open))

    def add(self, connection: Connection) -> bool:
        """Register a new connection and return whether there is a place for it."""
        self._open[connection] = None
        self._counts.connection_opened(connection.listener)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(1, self._every_second)
        if len(self._open) - len(self._rejected) <= self.limit:
            return True
        self.count("cap")
        self._limit_warning.failed("idle connections are closed, oldest first")
        if self.make_room():
            return True
        self._rejected[connection] = None
        if len(self._rejected) > REFUSED_KEPT:
            self._close(next(iter(self._rejected)))
        return False

    def replace(self, before: Connection, after: Connection) -> None:
        """Replace the protocol of a connection, as in a WebSocket upgrade."""
        self._forget(before)
        self._open[after] = None

    def remove(self, connection: Connection) -> None:
        """Remove a closed connection. A second call does nothing."""
        if connection in self._open:
            self._forget(connection)
            self._counts.connection_closed(connection.listener)

    def count(self, reason: str) -> None:
        """Count a connection that is refused or closed for `reason`."""
        self._counts.connection_refused(reason)

    def accept_failed(self, error: OSError) -> None:
        """Log that the system cannot accept a connection, and close one to free resources."""
        self.count("accept_failed")
        self._accept_warning.failed(error.strerror or error)
        self.make_room()

    def accept_succeeded(self) -> None:
        """Log that connections are accepted again, if `accept_failed` has logged a warning."""
        self._accept_warning.recovered()

    def make_room(self) -> bool:
        """Close the least needed connection and return whether there was one."""
        queues = (self.draining, self.heads, self.idle)
        oldest = next((next(iter(queue)) for queue in queues if queue), None)
        connection = oldest or self.requests.oldest() or self.responses.oldest()
        if connection is not None:
            self._close(connection)
        return connection is not None

    def check(self) -> None:
        """Advance `now` by one second and enforce the time limits of every connection."""
        self.now += 1
        for connection in self:
            connection.check(self.now)
        if len(self._open) < self.limit:
            self._limit_warning.recovered()

    def _every_second(self) -> None:
        self._timer = None
        self.check()
        if self._open:
            self._timer = asyncio.get_running_loop().call_later(1, self._every_second)

    def _close(self, connection: Connection) -> None:
        connection.close_for_new()
        self.remove(connection)

    def _forget(self, connection: Connection) -> None:
        for queue in (self._open, self.draining, self.heads, self.idle, self._rejected):
            queue.pop(connection, None)
        self.requests.release(connection)
        self.responses.release(connection)


def connection_limit(streams: int) -> int:
    """Raise the limit of open files for this many streams, and return the limit of connections."""
    wanted = max(MAX_CONNECTIONS, streams + MAX_CONNECTIONS // 4)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = wanted + FILES_KEPT
    if soft != resource.RLIM_INFINITY and soft < files:
        soft = files if hard == resource.RLIM_INFINITY else min(files, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - FILES_KEPT))
