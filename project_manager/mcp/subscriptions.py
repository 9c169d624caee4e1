"""Send changes of resources from the event hub to MCP clients.

A listen stream (2026-07-28) gets the changes from the bus of the SDK. For a connection with an older protocol version,
this module keeps the subscriptions. Each such connection has its own pending set and sender, so a client that does not
read delays no other client. Several changes of one resource may become one notification.
"""

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import anyio
import anyio.abc
from mcp.server.connection import Connection
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated

from project_manager.domain.events.event_types import touches_of
from project_manager.mcp.uris import uri_of
from project_manager.runtime.event_hub import UNBOUNDED, Closed, Event, Hub, Overflow

log = logging.getLogger(__name__)

MAX_URIS = 1000


class TooManySubscriptions(Exception):
    """Error of a connection that has MAX_URIS subscriptions."""


class _Subscriber:
    """A connection with its subscriptions, and the sender of its notifications."""

    def __init__(self, connection: Connection) -> None:
        self.uris: set[str] = set()
        self._connection = connection
        self._pending: dict[str, None] = {}
        self._wake = anyio.Event()
        self._gone = False

    def enqueue(self, uri: str) -> None:
        """Queue a notification, if the connection is subscribed to the resource."""
        if uri in self.uris:
            self._pending[uri] = None
            self._wake.set()

    def remove(self, uri: str) -> None:
        self.uris.discard(uri)
        self._pending.pop(uri, None)

    def detach(self) -> None:
        """Stop the sender."""
        self._gone = True
        self._wake.set()

    async def send_all(self) -> None:
        """Send queued notifications until the connection ends. The transport ends a stream that is not read."""
        while not self._gone:
            await self._wake.wait()
            self._wake = anyio.Event()
            while self._pending and not self._gone:
                uri = next(iter(self._pending))
                del self._pending[uri]
                try:
                    await self._connection.send_resource_updated(uri)
                except Exception:
                    log.exception("cannot notify a client", extra={"action": "announce_failed"})


class Subscriptions:
    """Subscriptions of MCP clients to resources, and the delivery of changes."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._bus = InMemorySubscriptionBus()
        self._subscribers: dict[Connection, _Subscriber] = {}
        self._tasks: anyio.abc.TaskGroup | None = None
        self.listen = ListenHandler(self._bus, max_subscriptions=1024)

    def __len__(self) -> int:
        """Return the number of connections with subscriptions."""
        return len(self._subscribers)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Run the delivery from the hub to subscribers while the context is open."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._feed)
            try:
                yield
            finally:
                self._tasks = None
                tasks.cancel_scope.cancel()

    def subscribe(self, connection: Connection, uri: str) -> None:
        """Subscribe the connection to changes of `uri`. Raises TooManySubscriptions."""
        subscriber = self._subscribers.get(connection)
        if subscriber is None:
            subscriber = self._subscribers[connection] = _Subscriber(connection)
            connection.exit_stack.callback(self._remove, connection)
            if self._tasks is not None:
                self._tasks.start_soon(subscriber.send_all)
        if len(subscriber.uris) >= MAX_URIS and uri not in subscriber.uris:
            raise TooManySubscriptions
        subscriber.uris.add(uri)

    def unsubscribe(self, connection: Connection, uri: str) -> None:
        """Cancel the subscription of the connection to `uri`."""
        if connection in self._subscribers:
            self._subscribers[connection].remove(uri)

    def _remove(self, connection: Connection) -> None:
        self._subscribers.pop(connection).detach()

    async def _feed(self) -> None:
        while True:
            try:
                async with self._hub.subscribe(limit=UNBOUNDED) as events:
                    while True:
                        batch = await events.next_batch()
                        if self._subscribers or self._bus._listeners:
                            await self.announce(uris_of(batch))
            except Overflow:  # events were lost: any subscribed resource may have changed
                await self.announce({uri for subscriber in self._subscribers.values() for uri in subscriber.uris})
                self.listen.close()  # clients listen and read again
            except Closed:
                return

    async def announce(self, uris: Iterable[str]) -> None:
        """Queue a notification for every subscriber of these resources. Do not wait for clients."""
        for uri in uris:
            for subscriber in self._subscribers.values():
                subscriber.enqueue(uri)
            await self._bus.publish(ResourceUpdated(uri=uri))


def uris_of(events: Iterable[Event]) -> dict[str, None]:
    """Return the URIs of the resources that these events touch, each once, in order."""
    uris: dict[str, None] = {}
    for event in events:
        for resource, id_field in touches_of(event.type):
            resource_id = event.field(id_field)
            if resource_id is not None:
                uris[uri_of(resource, resource_id)] = None
    return uris
