"""Fan-out of events, also those of other processes, from the outbox to the subscribers of this process.

Each event is encoded once and offered to the bounded queue of every subscriber. A subscriber that does not keep up gets
Overflow, resumes by number, and delays no other subscriber.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson

from project_manager.store.events import EventRow
from project_manager.store.sqlite.tail import EventReader

QUEUE = 1024
UNBOUNDED = 1_000_000
"""The queue limit of subscribers within this process, which always read. An import emits thousands of events."""

QUEUED_CHARACTERS = 8 * 1024 * 1024
REMEMBERED = 4096
REMEMBERED_CHARACTERS = 4 * 1024 * 1024


class Overflow(Exception):
    """Error of a subscriber that did not read. It may subscribe again with the last `seq` that it received."""


class Resync(Exception):
    """Error when events after `since` are gone. The subscriber then reads the present state and subscribes again."""


class Closed(Exception):
    """Error of a hub that has stopped."""


class Event:
    """An event as subscribers receive it. Its JSON is encoded once. `frame` is the WebSocket frame of the JSON."""

    __slots__ = ("_is_traced", "_row", "_text", "_traced", "frame", "project_id", "seq", "size", "type")

    def __init__(self, row: EventRow, *, with_trace: bool = False) -> None:
        self.seq = row.seq
        self.type = row.type
        self.project_id = row.project_id
        self.size = len(row.data)  # nearly all the memory of an event
        self._row = row
        self._is_traced = with_trace
        self._text: str | None = None
        self._traced: Event | None = self if with_trace else None
        self.frame: bytes | None = None

    def field(self, name: str) -> Any:
        """Return a column of the event or a field of its payload, or None."""
        return getattr(self._row, name) if name in EventRow._fields else orjson.loads(self._row.data).get(name)

    @property
    def text(self) -> str:
        """Return the event as JSON."""
        if self._text is None:
            self._text = self._row.encoded(traced=self._is_traced).decode()
        return self._text

    @property
    def with_trace(self) -> "Event":
        """Return the event with its token id and request id, for operators."""
        if self._traced is None:
            self._traced = Event(self._row, with_trace=True)
        return self._traced


class Subscription:
    """One subscriber, with its filter and its queue."""

    __slots__ = (
        *("_filter_project", "_filter_types", "_limit", "_queue", "_queued", "_room", "_state", "_waiter"),
        "last_seq",
    )

    def __init__(self, since: int, project_id: int | None, types: frozenset[str] | None, limit: int) -> None:
        self.last_seq = since
        self._filter_project = project_id
        self._filter_types = types
        self._limit = limit
        self._queue: deque[Event] = deque()
        self._queued = 0
        self._room = 0  # 0: no limit of characters while older events are queued
        self._waiter: asyncio.Future[None] | None = None
        self._state: type[Exception] | None = None

    def offer(self, event: Event) -> None:
        """Queue the event if it is new and passes the filter. A full queue ends the subscription with Overflow."""
        if event.seq <= self.last_seq or not self._wants(event):
            return
        if len(self._queue) >= self._limit or self._queued > self._room > 0:
            self.end(Overflow)
            return
        self._queued += event.size
        self.last_seq = event.seq
        self._queue.append(event)
        self._wake()

    def end(self, reason: type[Exception]) -> None:
        """End the subscription with the exception that `next_batch` raises."""
        if self._state is None:
            self._state = reason
            self._wake()

    @property
    def is_dropped(self) -> bool:
        """Return whether an overflow has ended the subscription."""
        return self._state is Overflow

    async def next_batch(self) -> list[Event]:
        """Wait for events and return all queued ones in order. Raises Overflow, Closed."""
        while not self._queue:
            if self._state is not None:
                raise self._state
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._state is Overflow:
            raise Overflow
        batch = list(self._queue)
        self._queue.clear()
        self._queued = 0
        return batch

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _wants(self, event: Event) -> bool:
        if self._filter_project is not None and event.project_id not in (None, self._filter_project):
            return False
        return self._filter_types is None or event.type in self._filter_types


class Hub:
    """All subscriptions of this process. The hub belongs to one event loop, until it is `closed`."""

    def __init__(self, tail: EventReader, dropped: Callable[[], None]) -> None:
        self._tail = tail
        self._dropped = dropped
        self._subscriptions: set[Subscription] = set()
        self._recent: deque[Event] = deque()
        self._remembered = 0
        self._loop = asyncio.get_running_loop()
        self.closed = False
        self.epoch = tail.epoch
        self.head = tail.head
        self._oldest = tail.head
        tail.follow(self._received)

    @property
    def subscribers(self) -> int:
        return len(self._subscriptions)

    def has_since(self, since: int) -> bool:
        """Return whether every event after `since` that the hub has seen is still in memory."""
        return since >= self._oldest

    @asynccontextmanager
    async def subscribe(
        self,
        since: int | None = None,
        *,
        project_id: int | None = None,
        types: frozenset[str] | None = None,
        limit: int = QUEUE,
        older: Sequence[Event] = (),
    ) -> AsyncIterator[Subscription]:
        """Yield a subscription to the events after `since`, or to new events when it is None.

        `older` are events that are no longer in memory. Raises Resync for a gap, Closed when the hub has stopped.
        """
        if self.closed:
            raise Closed
        start = self.head if since is None else since
        subscription = Subscription(start, project_id, types, limit + len(self._recent) + len(older))
        for event in older:
            subscription.offer(event)
        reached = max(start, older[-1].seq if older else start)
        if not self.has_since(reached):
            raise Resync
        for event in self._recent:
            subscription.offer(event)
        # The limits do not count the events that are already queued.
        subscription._limit = limit + len(subscription._queue)
        subscription._room = limit * QUEUED_CHARACTERS // QUEUE + subscription._queued
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End every subscription. Each one still delivers its queued events."""
        self.closed = True
        for subscription in list(self._subscriptions):
            subscription.end(Closed)

    def _received(self, rows: list[EventRow]) -> None:
        """Pass the events from the thread of the tail to the event loop in one call."""
        events = [Event(row) for row in rows]
        try:
            self._loop.call_soon_threadsafe(self._publish, events)
        except RuntimeError:  # the loop is closed
            self._tail.follow(lambda _: None)

    def _publish(self, events: list[Event]) -> None:
        for event in events:
            self._recent.append(event)
            self._remembered += event.size
            while len(self._recent) > REMEMBERED or self._remembered > REMEMBERED_CHARACTERS:
                gone = self._recent.popleft()
                self._remembered -= gone.size
                self._oldest = gone.seq
        self.head = events[-1].seq
        for subscription in list(self._subscriptions):
            for event in events:
                subscription.offer(event)
            if subscription.is_dropped:
                self._subscriptions.discard(subscription)
                self._dropped()
