"""Changes of resources, from the event hub to clients of both eras.

2026: a listen stream takes them from the bus. 2025: each subscribed connection has a pending set and a
task of its own,
so that a client which does not read its stream delays nobody, and a resource that changes often is
announced once.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

import anyio
import anyio.abc
import orjson
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated, ServerEvent

from project_manager.hub import Closed, Event, Hub, Overflow, Resync
from project_manager.mcp.sdk import Client

MAX_URIS = 1000
_LEASES = frozenset(("task.locked", "task.unlocked"))
STUCK_SECONDS = 10.0


class TooManySubscriptions(Exception):
    """The connection subscribes to more resources than it may."""


@dataclass(eq=False)
class _Subscriber:
    client: Client
    stuck_seconds: float
    uris: set[str] = field(default_factory=set)
    pending: dict[str, None] = field(default_factory=dict)
    wake: anyio.Event = field(default_factory=anyio.Event)
    gone: bool = False

    def offer(self, uri: str) -> None:
        if uri in self.uris:
            self.pending[uri] = None
            self.wake.set()

    async def send_all(self) -> None:
        """Announces what is pending, for as long as the connection lasts."""
        while not self.gone:
            await self.wake.wait()
            self.wake = anyio.Event()
            while self.pending and not self.gone:
                uri = next(iter(self.pending))
                del self.pending[uri]
                with anyio.move_on_after(self.stuck_seconds) as patience:
                    await self.client.resource_updated(uri)
                if patience.cancelled_caught:
                    self.client.cut()


class _Bus(InMemorySubscriptionBus):
    """The SDK's bus for the listen streams, which knows whether there are any."""

    def __init__(self) -> None:
        super().__init__()
        self.streams: set[object] = set()

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        leave = super().subscribe(listener)
        stream = object()
        self.streams.add(stream)

        def unsubscribe() -> None:
            leave()
            self.streams.discard(stream)

        return unsubscribe


class Subscriptions:
    """Who wants to hear of which resource."""

    def __init__(self, hub: Hub, stuck_seconds: float = STUCK_SECONDS) -> None:
        self._hub = hub
        self._stuck_seconds = stuck_seconds
        self._bus = _Bus()
        self._subscribers: dict[int, _Subscriber] = {}
        self._tasks: anyio.abc.TaskGroup | None = None
        self.listen = ListenHandler(self._bus, max_subscriptions=1024)

    def __len__(self) -> int:
        return len(self._subscribers)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Feeds subscribers from the hub."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._feed)
            try:
                yield
            finally:
                self._tasks = None
                tasks.cancel_scope.cancel()

    def subscribe(self, client: Client, uri: str) -> None:
        """From now on the client hears of changes of `uri`. Raises TooManySubscriptions."""
        subscriber = self._subscribers.get(id(client))
        if subscriber is None:
            subscriber = _Subscriber(client, self._stuck_seconds)
            self._subscribers[id(client)] = subscriber
            client.when_gone(lambda: self._remove(client))
            if self._tasks is not None:
                self._tasks.start_soon(subscriber.send_all)
        if len(subscriber.uris) >= MAX_URIS:
            raise TooManySubscriptions
        subscriber.uris.add(uri)

    def unsubscribe(self, client: Client, uri: str) -> None:
        subscriber = self._subscribers.get(id(client))
        if subscriber is not None:
            subscriber.uris.discard(uri)
            subscriber.pending.pop(uri, None)

    def _remove(self, client: Client) -> None:
        subscriber = self._subscribers.pop(id(client), None)
        if subscriber is not None:
            subscriber.gone = True
            subscriber.wake.set()

    async def _feed(self) -> None:
        while True:
            try:
                async with self._hub.subscribe() as events:
                    while True:
                        batch = await events.next_batch()
                        if self._subscribers or self._bus.streams:
                            await self.announce(uris_of(batch))
            except (Overflow, Resync):  # events were missed: whatever is subscribed to may have changed
                await self.announce(self._all_uris())
            except Closed:
                return

    def _all_uris(self) -> set[str]:
        return {uri for subscriber in self._subscribers.values() for uri in subscriber.uris}

    async def announce(self, uris: Iterable[str]) -> None:
        """Tells every subscriber of these resources that they changed. Nobody is waited for."""
        for uri in uris:
            for subscriber in self._subscribers.values():
                subscriber.offer(uri)
            await self._bus.publish(ResourceUpdated(uri=uri))


def uris_of(events: Iterable[Event]) -> dict[str, None]:
    """The resources that these events change, each once, in order."""
    uris: dict[str, None] = {}
    for event in events:
        if event.task_id is not None:
            uris[f"pm://task/{event.task_id}"] = None
        if event.project_id is not None:
            uris[f"pm://project/{event.project_id}/board"] = None
        for agent_id in (event.actor_id, _holder(event)):
            if agent_id is not None:
                uris[agent_uri(agent_id)] = None
    return uris


def agent_uri(agent_id: str) -> str:
    return f"pm://agent/{quote(agent_id, safe='')}"


def _holder(event: Event) -> str | None:
    """Whose lease began or ended: it may have been ended by somebody else, or by the clock."""
    if event.type not in _LEASES:
        return None
    holder = orjson.loads(event.data).get("agent_id")
    return holder if isinstance(holder, str) else None
