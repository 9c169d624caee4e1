"""Fan-out of events, also those of other processes, from the outbox to the subscribers of this process.

Each event is encoded once and offered to every subscriber. A client that has received all earlier events gets it at
once. For others it enters a bounded queue. A subscriber that does not keep up gets Overflow, resumes by number, and
delays no other subscriber.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence, Set
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson

from project_manager.store.events import EventRow
from project_manager.store.tail import EventReader

QUEUE = 1024
UNBOUNDED = 1_000_000
"""The queue limit of subscribers within this process, which always read. An import emits thousands of events."""

QUEUED_CHARACTERS = 8 * 1024 * 1024
CLIENTS_AT_ONCE = 100
EVENTS_AT_ONCE = 32
"""Clients and events of one iteration of the event loop. A write to a client takes about 10 us."""

REMEMBERED = 4096
REMEMBERED_CHARACTERS = 4 * 1024 * 1024


class Overflow(Exception):
    """Error of a subscriber that did not read. It may subscribe again with the last `seq` that it received."""


class Resync(Overflow):
    """Error when events after `since` are gone. The subscriber then reads the present state and subscribes again.

    Subscribers that read the state after each Overflow need no other case for it.
    """


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


Write = Callable[[Sequence[Event]], int]
"""Write the first of these events without waiting, and return how many were written. It raises no error."""


class Subscription:
    """One subscriber, with its filter and its queue. A client has a `write`, which sends events without its task."""

    __slots__ = (
        *("_filter_project", "_filter_types", "_limit", "_queue", "_queued", "_room", "_state", "_waiter", "_write"),
        "last_seq",
    )

    def __init__(
        self, since: int, project_id: int | None, types: frozenset[str] | None, limit: int, write: Write | None = None
    ) -> None:
        self.last_seq = since
        self._write = write
        self._filter_project = project_id
        self._filter_types = types
        self._limit = limit
        self._queue: deque[Event] = deque()
        self._queued = 0
        self._room = 0  # 0: no limit of characters while older events are queued
        self._waiter: asyncio.Future[None] | None = None
        self._state: type[Exception] | None = None

    def offer(self, events: Iterable[Event]) -> bool:
        """Write the new events that pass the filter as far as the client takes them, and queue the rest.

        Return False when a full queue has ended the subscription with Overflow.
        """
        wanted = [event for event in events if self._wants(event)]
        if wanted and self._write is not None and self._is_waiting:
            written = self._write(wanted)
            if written:
                self.last_seq = wanted[written - 1].seq
                del wanted[:written]
        for event in wanted:
            self._enqueue(event)
        return self._state is not Overflow

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
            await self._wait()
        if self._state is Overflow:
            raise Overflow
        batch = list(self._queue)
        self._queue.clear()
        self._queued = 0
        return batch

    @property
    def _is_waiting(self) -> bool:
        """Return whether the client has all earlier events and may get new ones. A cancelled subscriber may not."""
        return self._waiter is not None and not self._waiter.done()

    async def _wait(self) -> None:
        """Wait until `_wake`."""
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _enqueue(self, event: Event) -> None:
        if len(self._queue) >= self._limit or self._queued > self._room > 0:
            self.end(Overflow)
            return
        self._queued += event.size
        self.last_seq = event.seq
        self._queue.append(event)
        self._wake()

    def _wants(self, event: Event) -> bool:
        if event.seq <= self.last_seq:
            return False
        if self._filter_project is not None and event.project_id not in (None, self._filter_project):
            return False
        return self._filter_types is None or event.type in self._filter_types


class _FanOut:
    """Delivery of events to the clients, CLIENTS_AT_ONCE in one iteration of the event loop.

    Events that are published meanwhile wait until every client has the events of this round. So each client gets all
    events in order. A client that subscribes meanwhile ignores the events that it already has. When too many events
    wait, all clients get Overflow and resume by number.
    """

    def __init__(self, clients: Set[Subscription], drop: Callable[[Subscription], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._clients = clients
        self._drop = drop
        self._round: list[Event] = []
        self._waiting: list[Event] = []
        self._characters = 0  # of the waiting events
        self._remaining: list[Subscription] = []
        self._is_scheduled = False

    def add(self, events: list[Event]) -> None:
        """Deliver the events to the first clients, and to the others in later iterations of the loop."""
        self._waiting += events
        self._characters += sum(event.size for event in events)
        if not self._is_scheduled:
            self._continue()
        if len(self._waiting) > REMEMBERED or self._characters > QUEUED_CHARACTERS:
            self._overflow()

    def finish(self) -> None:
        """Deliver all events to all clients at once."""
        while not self._is_idle:
            self._deliver_slice()

    @property
    def _is_idle(self) -> bool:
        return not self._remaining and not self._waiting

    def _continue(self) -> None:
        """Deliver a slice, unless an overflow or the shutdown left nothing to deliver, and schedule the next one."""
        self._is_scheduled = False
        try:
            if not self._is_idle:
                self._deliver_slice()
        finally:
            if not self._is_idle:
                self._is_scheduled = True
                self._loop.call_soon(self._continue)

    def _deliver_slice(self) -> None:
        if not self._remaining:
            self._round, self._waiting = self._waiting[:EVENTS_AT_ONCE], self._waiting[EVENTS_AT_ONCE:]
            self._characters -= sum(event.size for event in self._round)
            self._remaining = list(self._clients)
        for _ in range(min(CLIENTS_AT_ONCE, len(self._remaining))):
            client = self._remaining.pop()
            if client in self._clients and not client.offer(self._round):
                self._drop(client)

    def _overflow(self) -> None:
        for client in list(self._clients):
            client.end(Overflow)
            self._drop(client)
        self.discard()

    def discard(self) -> None:
        """Discard all events that wait."""
        self._waiting.clear()
        self._remaining.clear()
        self._characters = 0


class Hub:
    """All subscriptions of this process. The hub belongs to one event loop, until it is `closed`."""

    def __init__(self, tail: EventReader, dropped: Callable[[], None]) -> None:
        self._tail = tail
        self._dropped = dropped
        self._local: set[Subscription] = set()
        self._clients: set[Subscription] = set()
        self._fan_out = _FanOut(self._clients, self._drop)
        self._recent: deque[Event] = deque()
        self._remembered = 0
        self._loop = asyncio.get_running_loop()
        self.closed = False
        self.epoch = tail.epoch
        self.head = tail.head
        self._oldest = tail.head
        tail.follow(self._received, self._epoch_begun)

    @property
    def subscribers(self) -> int:
        return len(self._local) + len(self._clients)

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
        write: Write | None = None,
    ) -> AsyncIterator[Subscription]:
        """Yield a subscription to the events after `since`, or to new events when it is None.

        `older` are events that are no longer in memory. With `write`, events need no task of the subscriber while it
        waits for the next batch. Raises Resync for a gap, Closed when the hub has stopped.
        """
        if self.closed:
            raise Closed
        start = self.head if since is None else since
        subscription = Subscription(start, project_id, types, limit + len(self._recent) + len(older), write)
        subscription.offer(older)
        reached = max(start, older[-1].seq if older else start)
        if not self.has_since(reached):
            raise Resync
        subscription.offer(self._recent)
        # The limits do not count the events that are already queued.
        subscription._limit = limit + len(subscription._queue)
        subscription._room = limit * QUEUED_CHARACTERS // QUEUE + subscription._queued
        subscriptions = self._local if write is None else self._clients
        subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            subscriptions.discard(subscription)

    def close(self) -> None:
        """End every subscription. Each one still delivers its queued events."""
        self.closed = True
        self._fan_out.finish()
        for subscription in (*self._local, *self._clients):
            subscription.end(Closed)

    def _received(self, rows: list[EventRow]) -> None:
        """Pass the events from the thread of the tail to the event loop in one call."""
        events = [Event(row) for row in rows]
        try:
            self._loop.call_soon_threadsafe(self._publish, events)
        except RuntimeError:  # the loop is closed
            self._tail.follow(lambda _: None)

    def _epoch_begun(self, epoch: str, head: int) -> None:
        """Pass the new epoch from the thread of the tail to the event loop."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._begin_epoch, epoch, head)

    def _begin_epoch(self, epoch: str, head: int) -> None:
        """Forget all events, because a failover may have lost the newest ones, and let each subscriber resync."""
        self.epoch, self.head, self._oldest = epoch, head, head
        self._recent.clear()
        self._remembered = 0
        self._fan_out.discard()
        for subscription in (*self._local, *self._clients):
            subscription.end(Resync)
        self._local.clear()
        self._clients.clear()

    def _publish(self, events: list[Event]) -> None:
        for event in events:
            self._recent.append(event)
            self._remembered += event.size
            while len(self._recent) > REMEMBERED or self._remembered > REMEMBERED_CHARACTERS:
                gone = self._recent.popleft()
                self._remembered -= gone.size
                self._oldest = gone.seq
        self.head = events[-1].seq
        # Subscribers within this process come first, because calls wait for them.
        for subscription in list(self._local):
            if not subscription.offer(events):
                self._drop(subscription)
        self._fan_out.add(events)

    def _drop(self, subscription: Subscription) -> None:
        self._local.discard(subscription)
        self._clients.discard(subscription)
        self._dropped()
